package pglog

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Keys with a meaning of their own.
const (
	keyDetail = "detail"
	keyHint   = "hint"
)

// clientGroup begins the keys of a group that says whose client a record is about. The
// prefix and JSON use it; a line of text, which is Pgpool-II's, leaves it out.
const clientGroup = "client."

// process is what %a and %P show if no attribute says so.
const process = "main"

// prefixKeys are the attributes that the escapes of the prefix show.
var prefixKeys = map[byte][]string{'a': {"app"}, 'u': {"user"}, 'd': {"database"}, 'h': {"host"}, 'r': {"host", "port"}}

func (l *Log) format(r slog.Record, attrs []slog.Attr) []byte {
	if l.settings.Format == "json" {
		return l.json(r, attrs)
	}
	var b bytes.Buffer
	prefix := l.prefix(r.Time, attrs)
	shown := l.shownInPrefix()
	b.WriteString(prefix + levelOf(r.Level).label + ":  " + indent(r.Message))
	for _, a := range attrs {
		text := a.Value.String()
		if text != "" && !shown[a.Key] && !strings.HasPrefix(a.Key, clientGroup) && a.Key != keyDetail && a.Key != keyHint {
			b.WriteString(" " + a.Key + "=" + word(text)) // an empty value says nothing
		}
	}
	b.WriteByte('\n')
	if l.settings.ErrorVerbosity != "terse" {
		for _, key := range []string{keyDetail, keyHint} {
			if text := find(attrs, key); text != "" {
				b.WriteString(prefix + strings.ToUpper(key) + ":  " + indent(text) + "\n")
			}
		}
	}
	return b.Bytes()
}

// indent keeps the further lines of a text from looking like records.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n\t") }

// word quotes a value that would not be one word.
func word(text string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }
	if strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

func find(attrs []slog.Attr, key string) string {
	for i := len(attrs) - 1; i >= 0; i-- {
		if attrs[i].Key == key || attrs[i].Key == clientGroup+key {
			return attrs[i].Value.String()
		}
	}
	return ""
}

// shownInPrefix lists the attributes that need not follow the message, because the
// prefix shows them.
func (l *Log) shownInPrefix() map[string]bool {
	shown := map[string]bool{}
	for _, escape := range escapes(l.settings.LinePrefix) {
		for _, key := range prefixKeys[escape] {
			shown[key] = true
		}
	}
	return shown
}

// escapes lists the letters that follow a percent sign.
func escapes(prefix string) []byte {
	var list []byte
	for i := 0; i+1 < len(prefix); i++ {
		if prefix[i] == '%' {
			i++
			list = append(list, prefix[i])
		}
	}
	return list
}

func (l *Log) prefix(now time.Time, attrs []slog.Attr) string {
	var b strings.Builder
	text := l.settings.LinePrefix
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		b.WriteString(indent(l.escape(text[i], now, attrs)))
	}
	return b.String()
}

// escape is what one letter of the prefix stands for; unknown letters stand for nothing, as in
// PostgreSQL.
func (l *Log) escape(letter byte, now time.Time, attrs []slog.Attr) string {
	switch letter {
	case 'm':
		return now.Format("2006-01-02 15:04:05.000")
	case 't':
		return now.Format(time.DateTime)
	case 'p':
		return strconv.Itoa(l.pid)
	case 'P':
		return process
	case 'l':
		return strconv.FormatUint(l.lines, 10)
	case 'a':
		if app := find(attrs, "app"); app != "" {
			return app
		}
		return process
	case 'u', 'd', 'h':
		return find(attrs, prefixKeys[letter][0])
	case 'r':
		return remote(find(attrs, "host"), find(attrs, "port"))
	case '%':
		return "%"
	}
	return ""
}

func remote(host, port string) string {
	if port == "" {
		return host
	}
	return host + "(" + port + ")"
}

// json is the record as slog writes it, with PostgreSQL's level and the process's number.
func (l *Log) json(r slog.Record, attrs []slog.Attr) []byte {
	var b bytes.Buffer
	out := slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: LevelDebug5, ReplaceAttr: jsonLevel})
	plain := slog.NewRecord(r.Time, r.Level, r.Message, 0)
	plain.AddAttrs(slog.Int("pid", l.pid))
	plain.AddAttrs(attrs...)
	if err := out.Handle(context.Background(), plain); err != nil {
		return nil
	}
	return b.Bytes()
}

func jsonLevel(groups []string, a slog.Attr) slog.Attr {
	if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && len(groups) == 0 {
		return slog.String(slog.LevelKey, strings.ToUpper(levelOf(l).name))
	}
	return a
}
