# The blocks of commands in documents: prints for each "@@ document:line" and its lines. A block is either indented by four
# spaces behind an empty line, or fenced as ```sh. Indented blocks may be something else: commands.sh tells them apart.
function flush() {
  if (text != "") printf "@@ %s:%d\n%s", document, at, text
  text = ""
}
FNR == 1 { flush(); document = FILENAME; fence = ""; blank = 1 }
/^```/ {
  flush()
  fence = fence == "" ? $0 : ""
  at = FNR + 1
  next
}
fence != "" { if (fence == "```sh") text = text $0 "\n"; next }
/^    / {
  if (text == "" && !blank) next  # the second line of a list's point
  if (text == "") at = FNR
  text = text substr($0, 5) "\n"
  blank = 0
  next
}
{ flush(); blank = /^[ \t]*$/ }
END { flush() }
