package httpapi_test

import (
	"reflect"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestWhatABatchCarriesIsSetAndTakenBack: folders, a time, a size, while it runs too.
func TestWhatABatchCarriesIsSetAndTakenBack(t *testing.T) {
	e := newEnv(t)
	op := e.token("default", migration.Operator)
	e.endpoints(e.owner, "default")
	b := e.as(op, "POST", inDefault+"/batches", map[string]any{
		"name": "pilot", "sourceEndpoint": "old", "targetEndpoint": "new", "autoStart": true, "csv": users,
		"includeFolders": []string{"#Inbox#"}, "since": "2020-02-03", "before": "2024-01-31T22:00:00+01:00", "maxMessageSize": 1000000, "badItemLimit": 0,
	}, 201)
	if b["since"] != "2020-02-03T00:00:00Z" || b["before"] != "2024-01-31T21:00:00Z" || b["maxMessageSize"] != 1e6 || b["badItemLimit"] != 0.0 {
		t.Fatalf("new batch: %v", b)
	}
	b = e.as(op, "PATCH", inDefault+"/batches/pilot", map[string]any{"since": "", "maxMessageSize": 0, "badItemLimit": 7}, 200)
	if b["since"] != nil || b["before"] != "2024-01-31T21:00:00Z" || b["maxMessageSize"] != 0.0 || b["badItemLimit"] != 7.0 || len(b["includeFolders"].([]any)) != 1 {
		t.Errorf("changed: %v", b)
	}
	if b := e.as(op, "PATCH", inDefault+"/batches/pilot", map[string]any{"badItemLimit": -1}, 200); b["badItemLimit"] != nil {
		t.Errorf("without a limit: %v", b)
	}
	rules := []any{map[string]any{"from": "Projects/*", "to": "Work/*"}, map[string]any{"from": "#Sent#", "to": "Old/Sent"}}
	if b := e.as(op, "PATCH", inDefault+"/batches/pilot", map[string]any{"mapFolders": rules}, 200); !reflect.DeepEqual(b["mapFolders"], rules) {
		t.Errorf("with mapping rules: %v", b)
	}
	p := e.as(op, "PATCH", inDefault+"/batches/pilot", map[string]any{"mapFolders": []map[string]string{{"from": "a", "to": ""}, {"from": "b", "to": "c"}, {"from": "B", "to": "d"}}}, 422)
	if problems, _ := p["problems"].([]any); p["code"] != "InvalidArgument" || len(problems) != 2 {
		t.Errorf("rules of which two are wrong: %v", p)
	}
	if b := e.as(op, "PATCH", inDefault+"/batches/pilot", map[string]any{"mapFolders": []any{}}, 200); len(b["mapFolders"].([]any)) != 0 {
		t.Errorf("without mapping rules: %v", b)
	}
	for name, change := range map[string]map[string]any{
		"no time":         {"since": "yesterday"},
		"no day":          {"before": "2024-02-30"},
		"nothing between": {"since": "2024-01-31T21:00:00Z"},
		"negative size":   {"maxMessageSize": -1},
		"negative limit":  {"badItemLimit": -2},
	} {
		if p := e.as(op, "PATCH", inDefault+"/batches/pilot", change, 422); p["code"] != "InvalidArgument" {
			t.Errorf("%s: %v", name, p)
		}
	}
	if now := e.as(op, "GET", inDefault+"/batches/pilot", nil, 200); now["before"] != b["before"] || now["since"] != nil {
		t.Errorf("after refused changes: %v", now)
	}
}
