package main

import "strings"

func makeFolders(fs []folder) {
	c := login(*dstAddr, *user)
	var tags []string
	for _, f := range fs {
		if !strings.EqualFold(strings.Trim(f.name, `"`), "INBOX") {
			tags = append(tags, c.send("CREATE "+f.name))
		}
		if f.subscribed {
			tags = append(tags, c.send("SUBSCRIBE "+f.name))
		}
	}
	for _, t := range tags {
		c.until(t, true, nil)
	}
	c.Close()
}
