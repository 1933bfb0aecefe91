# Sourced by the lint scripts: works in the repository's root and defines sources PATTERN..., which lists the project's
# own files whose names match one of the patterns.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folders=()
for folder in tensor autograd nn cuda io scrape apps tests bench examples; do
  [[ -d $folder ]] && folders+=("$folder")
done
sources() {
  local pattern names=()
  for pattern; do names+=(-o -name "$pattern"); done
  find "${folders[@]}" -type f \( "${names[@]:1}" \) | sort
}
