# Completion for bash: the options that a program's own --help names, else file names. Installed where the package
# bash-completion looks; otherwise: source ar-completion.bash
_ar_complete() {
  local word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  [[ $word == -* ]] || return 0
  local options
  options=$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE '(^|[ ,])--[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u)
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -o default -F _ar_complete @AR_PROGRAMS@
