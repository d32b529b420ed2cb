# bash completion of scnet-mcp:  source <(scnet-mcp completion bash)
_scnet_mcp() {
	local line=${COMP_LINE:0:COMP_POINT} word head candidate
	local -a words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	word=${words[${#words[@]} - 1]}
	# bash replaces only what stands behind the last of its word breaks, such as "=".
	head=${word%"${word##*["$COMP_WORDBREAKS"]}"}
	COMPREPLY=()
	while IFS=$'\t' read -r candidate _; do
		COMPREPLY+=("${candidate#"$head"}")
	done < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/@] ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -F _scnet_mcp scnet-mcp
