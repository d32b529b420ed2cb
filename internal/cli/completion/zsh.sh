#compdef scnet-mcp
# zsh completion of scnet-mcp:  source <(scnet-mcp completion zsh)
_scnet_mcp() {
	local line value text
	local -a lines done donetext open opentext
	lines=("${(@f)$(${~words[1]} __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
	for line in "${lines[@]}"; do
		[[ -n $line ]] || continue
		value=${line%%$'\t'*} text=${line#*$'\t'}
		text="$value${text:+  -- $text}"
		if [[ $value == *[=/@] ]]; then
			open+=("$value") opentext+=("$text")
		else
			done+=("$value") donetext+=("$text")
		fi
	done
	(($#open)) && compadd -Q -S '' -l -d opentext -a open
	(($#done)) && compadd -Q -l -d donetext -a done
	return 0
}
if [[ ${funcstack[1]} == _scnet[-_]mcp ]]; then # the first call of a file that compinit has found
	_scnet_mcp "$@"
elif (($+functions[compdef])); then
	compdef _scnet_mcp scnet-mcp
fi
