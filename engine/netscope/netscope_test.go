package netscope

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	for scope, addresses := range map[Scope][]string{
		Public:   {"8.8.8.8", "2606:4700::1", "172.32.0.1", "100.128.0.1", "64:ff9b::808:808", "2002:808:808::1"},
		Private:  {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1", "fec0::1", "0.1.2.3", "198.18.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"},
		Loopback: {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"},
		Special: {"169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
			"255.255.255.255", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"},
	} {
		for _, a := range addresses {
			assert.Equal(t, scope, Of(netip.MustParseAddr(a)), a)
		}
		assert.NotEmpty(t, scope.String())
	}
	assert.Equal(t, Special, Of(netip.Addr{}))
}

func TestOfHost(t *testing.T) {
	for host, want := range map[string]Scope{
		"lrs": Private, "LRS.apps.svc": Private, "lrs.apps.svc.cluster.local": Private, "db.internal": Private, "lrs.example.com": Public, "lrs.apps": Public,
		"localhost": Loopback, "a.localhost.": Loopback, "127.0.0.1": Loopback, "[::1]": Loopback, "::1": Loopback, "10.1.2.3": Private, "9.9.9.9": Public, "": Public,
		"169.254.169.254": Special, "0.0.0.0": Special, "localhost.example.com": Public,
	} {
		assert.Equal(t, want, OfHost(host), host)
	}
	for listen, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, ":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "host:1": false, "nonsense": false,
	} {
		assert.Equal(t, want, Local(listen), listen)
	}
}

func TestParsePrefix(t *testing.T) {
	for text, want := range map[string]string{"10.0.0.5": "10.0.0.5/32", "10.1.2.3/8": "10.0.0.0/8", "::1": "::1/128", "::ffff:10.0.0.1": "10.0.0.1/32"} {
		p, err := ParsePrefix(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, p.String())
	}
	for _, text := range []string{"", "x", "10.0.0.0/33", "fe80::1%eth0", "host"} {
		_, err := ParsePrefix(text)
		assert.ErrorIs(t, err, ErrPrefix, text)
	}
	list := []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}
	assert.True(t, Within(netip.MustParseAddr("169.254.1.1"), list))
	assert.True(t, Within(netip.MustParseAddr("::ffff:169.254.1.1"), list))
	assert.True(t, Within(netip.MustParseAddr("64:ff9b::a9fe:101"), list))
	assert.False(t, Within(netip.MustParseAddr("169.253.1.1"), list))
}
