package mapping_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/mappings"
)

var benchEvents = map[string]string{
	"play_video":    `{"name":"play_video","timestamp":"2023-02-03T14:18:20Z","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0","client_id":null,"course_id":"course-v1:edX+DemoX+Demo_Course","course_user_tags":{},"event_source":"browser","host":"lms.example.edu","ip":"203.0.113.217","org_id":"edX","page":null,"path":"/courses/course-v1:edX+DemoX+Demo_Course/xblock/handler","referer":"http://lms.example.edu/courses/course-v1:edX+DemoX+Demo_Course/courseware/283fefc63f0cd0e873a0000c6d07ef7b/","session":"77e90d3593ad699fc1f7cd5bb2e35cbf","user_id":37,"username":"learner37"},"data":{"id":"c519c3d7770c2e82ce736c5929195972","code":"b7xgknqkQk8","duration":195,"currentTime":69.85559520079471}}`,
	"problem_check": `{"name":"problem_check","timestamp":"2022-12-16T07:48:00.021614-08:00","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0","course_id":"course-v1:edX+DemoX+Demo_Course","event_source":"server","host":"lms.example.edu","path":"/courses/course-v1:edX+DemoX+Demo_Course/xblock/handler","referer":"http://lms.example.edu/","session":"77e90d3593ad699fc1f7cd5bb2e35cbf","user_id":37,"username":"learner37","module":{"display_name":"Checkboxes","usage_key":"block-v1:edX+DemoX+Demo_Course+type@problem+block@9dfd38f1a03af88ed10074689227731e"}},"data":{"answers":{"9dfd38f1a03af88ed10074689227731e_2_1":"42.5"},"attempts":1,"correct_map":{"9dfd38f1a03af88ed10074689227731e_2_1":{"correctness":"incorrect","npoints":null,"hint":"","hintmode":null,"msg":"","queuestate":null}},"grade":2.0,"max_grade":5,"problem_id":"block-v1:edX+DemoX+Demo_Course+type@problem+block@9dfd38f1a03af88ed10074689227731e","state":{"correct_map":{},"done":null,"input_state":{},"seed":1,"student_answers":{}},"submission":{"9dfd38f1a03af88ed10074689227731e_2_1":{"answer":"42.5","correct":false,"group_label":"","input_type":"x","question":"Which planets are gas giants?","response_type":"numericalresponse","variant":""}},"success":"incorrect"}}`,
}

func loadShipped(t testing.TB, backend string, directory *lookup.Directory) *mapping.Set {
	sub, err := fs.Sub(mappings.FS, backend)
	require.NoError(t, err)
	set, faults := mapping.Load(sub, mapping.Options{Backend: backend, Settings: settings, Directory: directory})
	require.Empty(t, faults.Render())
	return set
}

func BenchmarkTransform(b *testing.B) {
	directory, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(b, err)
	w := loadShipped(b, "xapi", directory).NewWorker()
	var p event.Parser
	for name, src := range benchEvents {
		b.Run(name, func(b *testing.B) {
			ev, err := p.Parse([]byte(src))
			require.NoError(b, err)
			r := w.Transform(b.Context(), ev)
			require.Equal(b, mapping.Transformed, r.Outcome, "%v", r.Rejection)
			b.ReportAllocs()
			for b.Loop() {
				w.Transform(b.Context(), ev)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	directory, err := lookup.NewDirectory(nil, lookup.Options{})
	require.NoError(b, err)
	for b.Loop() {
		loadShipped(b, "xapi", directory)
	}
}
