package nodesql

import "testing"

func TestConninfo(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "host='h' port='6'",
		"host=a port=5":                     "host='h' port='6'",
		"user = rep host= 10.0.0.1":         "user='rep' host='h' port='6'",
		`password='it\'s \\ secret' port=1`: `password='it\'s \\ secret' host='h' port='6'`,
		"user=rep passfile='/a b' hostaddr=10.0.0.1 channel_binding=prefer application_name=s1": "user='rep' passfile='/a b' channel_binding='prefer' application_name='s1' host='h' port='6'",
		`user=a\ b`:     `user='a b' host='h' port='6'`,
		"user='' x":     "user='' host='h' port='6'",
		"host='/a,/b' ": "host='h' port='6'",
	} {
		got := ParseConninfo(text).At("h", 6)
		if got.String() != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if again := ParseConninfo(got.String()).At("h", 6); again.String() != want {
			t.Errorf("%q, written and read again: got %s", text, again)
		}
	}
	if got := ParseConninfo("host=a host=b").Get("host"); got != "b" {
		t.Errorf("the last host is %q", got)
	}
}

func FuzzConninfo(f *testing.F) {
	f.Add(`user='a\'b' host = x`)
	f.Fuzz(func(t *testing.T, text string) {
		once := ParseConninfo(text).At("h", 6)
		for _, p := range once {
			if p.keyword == "" { // PostgreSQL does not accept an empty keyword
				return
			}
		}
		if again := ParseConninfo(once.String()); again.String() != once.String() {
			t.Errorf("%q: written as %q, and again as %q", text, once, again)
		}
	})
}
