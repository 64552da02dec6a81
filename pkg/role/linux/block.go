package linux

import "strings"

// Block gives a shared file's content with our named block of lines set to body ("" takes it out): the lines of others
// stay as they are. The block is at the end, or where it was.
func Block(content, name, body string) string {
	begin, end := "# BEGIN kubeclamp "+name+"\n", "# END kubeclamp "+name+"\n"
	if body != "" {
		body = begin + strings.TrimRight(body, "\n") + "\n" + end
	}
	i := strings.Index(content, begin)
	if i < 0 {
		if body != "" && content != "" && !strings.HasSuffix(content, "\n") {
			content += "\n"
		}
		return content + body
	}
	rest := content[i+len(begin):]
	if j := strings.Index(rest, end); j >= 0 {
		return content[:i] + body + rest[j+len(end):]
	}
	return content[:i] + body + rest // the end mark was lost: keep the lines
}
