# fish completion of scnet-mcp:  scnet-mcp completion fish | source
function __scnet_mcp_complete
	set -l words (commandline -opc)
	set -l program $words[1]
	set -e words[1]
	$program __complete $words (commandline -ct) 2>/dev/null
end
complete -c scnet-mcp -f -a '(__scnet_mcp_complete)'
