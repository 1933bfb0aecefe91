#!/bin/bash
# What the documents say of the code is true: a block of code that names a file (```cpp nn/layers.h) consists of lines of
# that file, in its order; paths between backquotes exist.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
found=0
for document in README.md docs/*.md; do
  awk -v document="$document" '
    function trimmed(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    /^```[a-z]+ [^ ]+$/ { file = $2; block = FNR; n = 0; while ((getline line < file) > 0) text[++n] = trimmed(line)
                          if (!n) { print document ":" FNR ": no file " file; bad = 1 }
                          close(file); at = 0; next }
    /^```/ { file = ""; next }
    file && trimmed($0) != "" {
      wanted = trimmed($0)
      for (i = at + 1; i <= n && text[i] != wanted; ++i) {}
      if (i > n) { print document ":" FNR ": not in " file " after line " at ": " wanted; bad = 1 } else at = i }
    END { exit bad }' "$document" || found=1
  while IFS=: read -r line path; do
    path=${path//\`/}
    [[ $path =~ (\.[a-z]+|/|\*)$ && ! $path =~ NAME|FOLDER ]] || continue  # the name of a test, a placeholder
    compgen -G "$path" >/dev/null || { echo "$document:$line: there is no $path"; found=1; }
  done < <(grep -noE '`(tensor|autograd|nn|cuda|io|scrape|apps|tests|bench|docs|scripts|examples|data|cmake)/[A-Za-z0-9_./*-]+`' "$document")
done
exit $found
