package api

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// However a log comes, its end is kept.
func TestTailKeepsTheEnd(t *testing.T) {
	for _, size := range []int{0, 1, 2 << 10, mostLog - 1, mostLog, mostLog + 1, 3*mostLog + 77} {
		text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		want := text[max(0, size-mostLog):]
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "by halves": iotest.HalfReader(bytes.NewBufferString(text)), "with its end": iotest.DataErrReader(strings.NewReader(text))} {
			var end tail
			if n, err := end.ReadFrom(r); err != nil || n != int64(size) || string(end) != want {
				t.Errorf("%d bytes %s: kept %d of %d, %v", size, name, len(end), n, err)
			}
		}
		var end tail
		if _, err := io.WriteString(&end, text); err != nil || string(end) != want {
			t.Errorf("%d bytes written: kept %d, %v", size, len(end), err)
		}
	}
}
