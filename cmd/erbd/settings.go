package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
)

// addSettings gives a command the flags --config and --set and one for each
// setting; those named in shown are listed in its help. All keep their order,
// so that the last one wins.
func (a *app) addSettings(cmd *cobra.Command, shown ...string) {
	flags := cmd.Flags()
	flags.StringVarP(&a.configFile, "config", "c", "", "file of settings, YAML or JSON")
	flags.Var(&setFlag{a: a}, "set", "set a setting: `key=value`; repeatable")
	for _, key := range config.Keys() {
		if flags.Lookup(key.Name) != nil {
			continue // the command has a flag of its own with this name
		}
		f := flags.VarPF(&settingFlag{a: a, key: key}, key.Name, "", key.Doc)
		f.Hidden = true
		for _, name := range shown {
			f.Hidden = f.Hidden && name != key.Name
		}
		if key.Type == config.TypeBool {
			f.NoOptDefVal = "true"
		}
	}
}

// settings loads the settings from all sources.
func (a *app) settings() (*config.Settings, error) {
	return a.readSettings(nil)
}

// settingsFile is the path of the file of settings, "" for none.
func (a *app) settingsFile() string {
	file := a.configFile
	if file == "" {
		file, _ = a.lookupEnv("ERB_CONFIG")
	}
	return file
}

// readSettings loads the settings; content, unless nil, stands for that of their file.
func (a *app) readSettings(content []byte) (*config.Settings, error) {
	s, faults := config.Load(config.Sources{File: a.settingsFile(), Content: content, Env: a.env, Set: a.assignments})
	if err := faults.Err(); err != nil {
		f := cli.Faulty("the settings", faults)
		for _, d := range faults.Errors() {
			if strings.HasPrefix(d.Pos.File, "--") {
				return nil, &cli.Failure{Err: f, Faults: faults, Usage: true, Hints: []string{`"erbd settings" lists all settings`}}
			}
		}
		return nil, f
	}
	a.warn(faults)
	return s, nil
}

// setFlag is --set key=value.
type setFlag struct{ a *app }

func (f *setFlag) String() string { return "" }
func (f *setFlag) Type() string   { return "key=value" }
func (f *setFlag) Set(arg string) error {
	assignment, err := config.ParseAssignment(arg, "--set")
	if err != nil {
		return err
	}
	f.a.assignments = append(f.a.assignments, assignment)
	return nil
}

// settingFlag is the flag of one setting.
type settingFlag struct {
	a   *app
	key config.Key
}

func (f *settingFlag) String() string { return "" }
func (f *settingFlag) Type() string   { return f.key.Type }
func (f *settingFlag) Set(value string) error {
	f.a.assignments = append(f.a.assignments, config.Assignment{Key: f.key.Name, Value: value, Source: "--" + f.key.Name})
	return nil
}

func newSettingsCmd(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "List all settings with type, default, meaning and environment variables",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			keys := config.Keys()
			switch output {
			case "json":
				type key struct {
					Name    string   `json:"name"`
					Type    string   `json:"type"`
					Default string   `json:"default"`
					Doc     string   `json:"doc"`
					Enum    []string `json:"enum,omitempty"`
					Env     []string `json:"env"`
				}
				list := make([]key, len(keys))
				for i, k := range keys {
					list[i] = key(k)
				}
				enc := json.NewEncoder(a.stdout)
				enc.SetEscapeHTML(false)
				return enc.Encode(list)
			case "text":
				table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
				for _, k := range keys {
					kind := k.Type
					if k.Enum != nil {
						kind = strings.Join(k.Enum, "|")
					}
					value := k.Default
					if value == "" {
						value = "-"
					}
					fmt.Fprintf(table, "%s\t%s\t%s\t%s (%s)\n", k.Name, kind, value, k.Doc, strings.Join(k.Env, ", "))
				}
				return table.Flush()
			}
			return cli.Misuse(fmt.Errorf("unknown output %q", output), "use --output text or --output json")
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "form of the list: text or json")
	return cmd
}
