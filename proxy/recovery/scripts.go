package recovery

import (
	"embed"
	"strings"
)

//go:embed scripts
var scripts embed.FS

// targetMark is where a script gets what both need to reach the node that is recovered.
const targetMark = "@target@\n"

// Scripts are the names of the ready scripts, in the order in which a recovery runs them.
func Scripts() []string { return []string{"1st_stage", "remote_start"} }

// Script is a ready script, which is to be put into the data folders of the nodes. The name is one of Scripts.
func Script(name string) string {
	return strings.Replace(part(name), targetMark, part("target"), 1)
}

func part(name string) string {
	text, err := scripts.ReadFile("scripts/" + name + ".sh")
	if err != nil {
		panic(err) // the name is not one of Scripts
	}
	return string(text)
}
