package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
)

const (
	keptLines = 200
	maxLine   = 8 << 10
	edge      = 1 << 10 // of a line that was cut: there may be half of a secret in it, which nobody knows again
)

// lines passes what a process prints to the log and keeps the last of it. It takes anything: the printer may be broken.
type lines struct {
	log  *slog.Logger
	mask func(text string) string // takes secrets out

	mu   sync.Mutex
	kept []string
	part []byte
}

// Write takes a piece of output, cut anywhere.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			l.part = append(l.part, rest[:min(len(rest), maxLine-min(maxLine, len(l.part)))]...)
			break
		}
		l.part = append(l.part, rest[:min(i, maxLine-min(maxLine, len(l.part)))]...)
		l.line(strings.ToValidUTF8(string(l.part), "\uFFFD"))
		l.part, rest = l.part[:0], rest[i+1:]
	}
	return len(p), nil
}

func (l *lines) line(text string) {
	cut := len(text) >= maxLine
	if text = l.masked(strings.TrimRight(text, "\r")); cut {
		text = strings.ToValidUTF8(text[:max(0, len(text)-edge)], "") + " [...]"
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	l.kept = append(l.kept, text)
	if len(l.kept) > keptLines {
		l.kept = append(l.kept[:0], l.kept[len(l.kept)-keptLines:]...)
	}
	level, text := levelOf(text)
	l.log.Log(context.Background(), level, text)
}

func (l *lines) masked(text string) string {
	if l.mask == nil {
		return text
	}
	return l.mask(text)
}

// levelOf understands slog's and hclog's JSON where it is that, and takes everything else as it is.
func levelOf(text string) (slog.Level, string) {
	var entry map[string]any
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &entry) != nil {
		return slog.LevelInfo, text
	}
	for _, key := range []string{"level", "@level"} {
		var level slog.Level
		if s, ok := entry[key].(string); ok && level.UnmarshalText([]byte(s)) == nil {
			return level, text
		}
	}
	return slog.LevelInfo, text
}

// tail is the last lines.
func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.kept
	if len(l.part) > 0 {
		all = append(all[:len(all):len(all)], l.masked(string(l.part)))
	}
	return strings.Join(all, "\n")
}
