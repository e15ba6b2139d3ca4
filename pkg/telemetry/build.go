package telemetry

import "runtime/debug"

// Build is what the running binary was made from.
type Build struct {
	Version  string // of the module, "devel" for a build from a work tree
	Revision string // of the commit, "" where the build did not record it
	Go       string
}

// ReadBuild returns what the toolchain recorded in the binary.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "devel"}
	}
	b := Build{Version: info.Main.Version, Go: info.GoVersion}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if b.Revision != "" && modified {
		b.Revision += "+modified"
	}
	return b
}
