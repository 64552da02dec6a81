package role_test

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

func TestDecodeNamesTheAttrib(t *testing.T) {
	type config struct {
		Port    int                `json:"app-port"`
		Name    string             `json:"app-name"`
		On      bool               `json:"app-on"`
		Mirrors []string           `json:"app-mirrors"`
		Leaf    struct{ K string } `json:"app-leaf"`
	}
	for attrib, tt := range map[string]struct {
		value any
		want  string
	}{
		"app-port":    {"80", "attrib app-port is a JSON string: want a whole number"},
		"app-name":    {80.0, "attrib app-name is a JSON number: want a text"},
		"app-on":      {"yes", "attrib app-on is a JSON string: want true or false"},
		"app-mirrors": {"a", "attrib app-mirrors is a JSON string: want a list"},
		"app-leaf":    {"a", "attrib app-leaf is a JSON string: want a map"},
	} {
		var c config
		err := role.Decode(crowbar.Data{attrib: tt.value}, &c)
		if crowbar.KindOf(err) != crowbar.Invalid || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
	var c config
	if err := role.Decode(crowbar.Data{"app-port": 80.0, "app-mirrors": []any{"a"}}, &c); err != nil || c.Port != 80 || len(c.Mirrors) != 1 {
		t.Errorf("%v %+v", err, c)
	}
}
