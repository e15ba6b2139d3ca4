package deploy

import (
	"bufio"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Ports       []string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Networks    []string
	Privileged  bool
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

type compose struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
}

func readCompose(t *testing.T) (compose, string) {
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatalf("parse docker-compose.yml: %v", err)
	}
	return c, string(text)
}

func TestComposeHasTheThreeParts(t *testing.T) {
	c, _ := readCompose(t)
	for _, name := range []string{"api", "worker", "redis"} {
		if _, found := c.Services[name]; !found {
			t.Errorf("no service %s", name)
		}
	}
	for _, name := range []string{"api", "worker"} {
		s := c.Services[name]
		if s.Build.Context != "." || s.Build.Dockerfile != "deploy/Dockerfile."+name {
			t.Errorf("%s is built from %+v", name, s.Build)
		}
		if s.DependsOn["redis"].Condition != "service_healthy" {
			t.Errorf("%s does not wait for redis: %+v", name, s.DependsOn)
		}
	}
}

// A secret is a variable that has to be set, with words that say how.
func TestComposeHasNoDefaultSecret(t *testing.T) {
	c, text := readCompose(t)
	required := regexp.MustCompile(`\$\{[A-Z_]+:\?[^}]{10,}\}`)
	sensitive := regexp.MustCompile(`(?i)(key|token|password|secret|auth)$`)
	for name, s := range c.Services {
		for variable, value := range s.Environment {
			if sensitive.MatchString(variable) && required.FindString(value) != value {
				t.Errorf("%s: %s is %q, want a required variable alone", name, variable, value)
			}
		}
		for i, word := range s.Command {
			if word == "--requirepass" && required.FindString(s.Command[i+1]) != s.Command[i+1] {
				t.Errorf("%s: the password is %q", name, s.Command[i+1])
			}
		}
	}
	if !slices.Contains(c.Services["redis"].Command, "--requirepass") {
		t.Error("redis takes anybody")
	}
	for _, name := range []string{"api", "worker"} {
		if u := c.Services[name].Environment["MAILHAUL_REDIS_URL"]; !strings.HasPrefix(u, "redis://:${MAILHAUL_REDIS_PASSWORD:?") {
			t.Errorf("%s: MAILHAUL_REDIS_URL is %q", name, u)
		}
	}
	for _, variable := range []string{"MAILHAUL_MASTER_KEY", "MAILHAUL_BOOTSTRAP_TOKEN", "MAILHAUL_REDIS_PASSWORD"} {
		if regexp.MustCompile(`\$(` + variable + `\b|\{` + variable + `(:?-|\}))`).MatchString(text) {
			t.Errorf("%s is used without being required", variable)
		}
	}
}

func TestRedisLosesAndEvictsNothing(t *testing.T) {
	c, _ := readCompose(t)
	command := strings.Join(c.Services["redis"].Command, " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(command, want) {
			t.Errorf("redis runs %q, without %s", command, want)
		}
	}
}

func TestNothingRunsAsRootOrFacesTheWorld(t *testing.T) {
	c, _ := readCompose(t)
	for name, s := range c.Services {
		if s.User == "" || strings.HasPrefix(s.User, "0") || strings.HasPrefix(s.User, "root") {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if s.Privileged || !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s keeps rights that it does not need", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is published on %s", name, port)
			}
		}
	}
	if redis := c.Services["redis"]; len(redis.Ports) > 0 || !slices.Equal(redis.Networks, []string{"inside"}) || !c.Networks["inside"].Internal {
		t.Errorf("redis can be reached from outside: %+v", redis)
	}
}

// stages returns the instructions of a Dockerfile, stage by stage.
func stages(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out [][]string
	line := ""
	for in := bufio.NewScanner(f); in.Scan(); {
		text := strings.TrimSpace(in.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if part, more := strings.CutSuffix(text, `\`); more {
			line += part
			continue
		}
		line += text
		if strings.HasPrefix(line, "FROM ") {
			out = append(out, nil)
		}
		if len(out) == 0 {
			t.Fatalf("%s: %q before the first FROM", name, line)
		}
		out[len(out)-1] = append(out[len(out)-1], line)
		line = ""
	}
	return out
}

func TestImagesAreStaticAndNotRoot(t *testing.T) {
	for _, name := range []string{"api", "worker"} {
		s := stages(t, "Dockerfile."+name)
		if len(s) != 2 {
			t.Fatalf("%s: %d stages, want one to build and one to run", name, len(s))
		}
		if build := strings.Join(s[0], "\n"); !strings.Contains(build, "CGO_ENABLED=0 go build") || !strings.Contains(build, "./cmd/"+name) {
			t.Errorf("%s is not built as a static program:\n%s", name, build)
		}
		run := s[1]
		if run[0] != "FROM gcr.io/distroless/static-debian12:nonroot" {
			t.Errorf("%s runs on %q", name, run[0])
		}
		if !slices.Contains(run, "USER 65532:65532") || !slices.Contains(run, `ENTRYPOINT ["/usr/local/bin/`+name+`"]`) {
			t.Errorf("%s ends as:\n%s", name, strings.Join(run, "\n"))
		}
		for _, line := range slices.Concat(s...) {
			if strings.HasPrefix(line, "ENV ") || strings.HasPrefix(line, "ARG ") || strings.HasPrefix(line, "ADD ") {
				t.Errorf("%s: %q: images carry no settings, and nothing from elsewhere", name, line)
			}
		}
	}
}
