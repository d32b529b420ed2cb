package lang

// chineseHelp is what the help says of commands, flags and tools.
var chineseHelp = []message{
	{"%s, %s or more", "%s，不小于 %s"},
	{"%s, %s to %s", "%s，%s 至 %s"},
	{", default %s", "，默认 %s"},
	{", required", "，必填"},
	{
		"A JSON object, @FILE or @- to read one from a file or stdin, or name=value pairs. A repeated name makes a list; name=@FILE and name=@- read the value from a file or stdin, name=@@text begins with @.",
		"一个 JSON 对象；或用 @FILE、@- 从文件或标准输入读取；或者若干 name=value。同一个名称重复给出即为列表；name=@FILE 和 name=@- 从文件或标准输入读取取值，name=@@text 表示取值以 @ 开头。",
	},
	{"A command, or a tool.", "命令或工具。"},
	{"A proxy in front of the server terminates TLS.", "服务器前面有终止 TLS 的代理。"},
	{
		"A secret of at least 32 bytes that preview tokens and sessions are sealed with: replicas share it, and with it they outlive a restart.",
		"至少 32 字节的机密，用于保护预览令牌和会话：多个副本共用，重启后令牌和会话仍然有效。",
	},
	{
		"Accelerators (cards × containers) that one call may create, start or resize to. Default: no limit.",
		"一次调用最多可以创建、启动或调整到的加速卡数（卡数 × 容器数）。默认没有限制。",
	},
	{
		"Accelerators that all instances of the account may occupy at once, after a call that starts one. Default: no limit.",
		"启动实例的调用之后，账号的全部实例最多同时占用的加速卡数。默认没有限制。",
	},
	{
		"Add an SCNet region without the container service, and one in which the account is suspended.",
		"增加一个没有容器服务的 SCNet 区域，以及一个账号已停用的区域。",
	},
	{"Add the text in this file to the server's instructions for the model; at most 4 KiB.", "把此文件中的文字附加到给模型的服务器说明（instructions）之后；最多 4 KiB。"},
	{
		"An audience that access tokens may be for, as many as there are; default: the public URL.",
		"访问令牌的受众（audience），可给出多个；默认为公开的 URL。",
	},
	{"Arguments:", "参数："},
	{
		"At a terminal you see what would happen, and are asked. In a script, the call changes nothing and exits with 3; with --confirm it acts.",
		"在终端中会先显示将要发生什么，再询问是否执行。在脚本中，调用不做任何变更，退出码为 3；加上 --confirm 则执行。",
	},
	{
		"At a terminal you see what would happen, and are asked. In a script, the call shows what would happen and exits with 3; with --confirm it shows that and acts.",
		"在终端中会先显示将要发生什么，再询问是否执行。在脚本中，调用只显示将要发生什么，退出码为 3；加上 --confirm 则显示后执行。",
	},
	{"Audit log:", "审计日志："},
	{"Call one tool from the shell.", "在命令行中调用一次工具。"},
	{"Certificate chain in PEM; read again on SIGHUP.", "PEM 格式的证书链；收到 SIGHUP 时重新读取。"},
	{"Change how long things take, such as waiting=1m. Repeatable.", "改变各项操作的耗时，例如 waiting=1m。可重复给出。"},
	{
		"Change only instances that match one: id:ID, name:GLOB, region:ID or name; without prefix, id or name.",
		"只允许变更匹配其中之一的实例：id:ID、name:通配符、region:ID 或名称；没有前缀则为 ID 或名称。",
	},
	{"Change things also when the audit log cannot be written.", "审计日志无法写入时也允许变更。"},
	{"Check configuration, credentials, clock, regions and reachability.", "检查配置、凭证、本机时钟、区域和连通性。"},
	{
		"Check that the log is signed with this key, as audit keygen prints it or in a file; after a change of keys, give each of them.",
		"校验日志由该密钥签名：audit keygen 输出的公钥，或其所在文件；更换过密钥时，请逐一给出。",
	},
	{
		"Check that the log still says what it said when the checkpoints in this file were sent elsewhere: one in a line. Needs --key.",
		"校验日志的内容与该文件中的检查点发往别处时一致，文件中每行一个检查点。需要同时给出 --key。",
	},
	{"Commands:", "命令："},
	{"Connections at the same time; default: 4096.", "同时存在的连接数；默认 4096。"},
	{"Consent that a tool needs: flag, preview or human.", "工具所需的确认级别：flag、preview 或 human。"},
	{"Consent:", "确认方式："},
	{"Describe tools to the model in the words of this file, a JSON object of tools and texts; at most 2 KiB each.", "用此文件中的文字向模型描述工具：一个以工具名为键、文字为值的 JSON 对象；每段最多 2 KiB。"},
	{"Do not offer these tools.", "不提供这些工具。"},
	{"Do what the preview shows, without asking. For scripts.", "不再询问，直接执行预览的内容。用于脚本。"},
	{"Each object has: %s.", "每个对象含有：%s。"},
	{"Example:", "示例："},
	{
		"Fail also when the log is not broken but its end cannot be proven.",
		"日志没有损坏、但无法证明结尾完整时，也视为失败。",
	},
	{"Fields of the result (--json):", "结果中的字段（--json）："},
	{"Flags of every command:", "所有命令通用的选项："},
	{
		"Flags of serve, after --: scnet-mcp install cursor -- --read-only",
		"serve 的选项，写在 -- 之后：scnet-mcp install cursor -- --read-only",
	},
	{"Flags:", "选项："},
	{
		"Further names under which clients reach the server, with or without port, no wildcards; the first is shown at start.",
		"客户端访问服务器时使用的其他主机名，端口可有可无，不支持通配符；启动时显示第一个。",
	},
	{"HTTP:", "HTTP："},
	{
		"How it looks: json, one object a line; console, for people; or auto, console at a terminal and json elsewhere.",
		"日志的格式：json（每行一个对象）、console（供人阅读）或 auto（在终端为 console，否则为 json）。",
	},
	{"How long SCNet's tokens are valid.", "SCNet 令牌的有效期。"},
	{
		"How long running calls may go on after SIGTERM; default: 8s.",
		"收到 SIGTERM 后，执行中的调用最多还可以继续多久；默认 8s。",
	},
	{"Install the server with simulated instances; needs no account.", "安装使用模拟实例的服务器；不需要账号。"},
	{"Instances that may be changed in any hour (${default}).", "任意一小时内最多可以变更的实例数（${default}）。"},
	{"Instances that one call may change (${default}).", "一次调用最多可以变更的实例数（${default}）。"},
	{
		"Language of what people read: zh, en or auto, which is that of the locale (LC_ALL, LC_MESSAGES, LANG).",
		"界面语言：zh、en 或 auto；auto 由本机的区域设置决定（LC_ALL、LC_MESSAGES、LANG）。",
	},
	{"List what --fault, --quirk and --timing take.", "列出 --fault、--quirk 和 --timing 可用的取值。"},
	{
		"List what an audit log holds: changes, and attempts that changed nothing.",
		"列出审计日志的内容：变更，以及没有造成变更的尝试。",
	},
	{
		"Loopback address; port 0 picks free ports. Each SCNet region gets a port of its own, after that of the platform.",
		"回环地址；端口为 0 时自动选择空闲端口。每个 SCNet 区域各占一个端口，从平台的端口依次往后。",
	},
	{
		"MCP server for container instances on SCNet (超算互联网). Credentials are read from the environment: SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, or SCNET_TOKEN and SCNET_AI_URL; secrets may stand in files named by …_FILE.",
		"面向超算互联网（SCNet）容器实例的 MCP 服务器。凭证从环境变量读取：SCNET_USER、SCNET_ACCESS_KEY 和 SCNET_SECRET_KEY，或者 SCNET_TOKEN 和 SCNET_AI_URL；机密也可以放在由 …_FILE 指定的文件中。",
	},
	{
		"Make a key that signs audit logs, and print the public key that checks them.",
		"生成为审计日志签名的密钥，并输出用于校验的公钥。",
	},
	{
		"Make a token for a caller, and the entry of the callers file that holds its digest.",
		"为调用方生成令牌，以及调用方文件中含有令牌摘要的条目。",
	},
	{
		"Make an operation misbehave, such as list:status=503,times=2. Repeatable.",
		"让某个操作出错，例如 list:status=503,times=2。可重复给出。",
	},
	{
		"Name of the tool; scnet-mcp tools lists them, scnet-mcp call TOOL --help shows its arguments.",
		"工具名称；scnet-mcp tools 列出全部工具，scnet-mcp call TOOL --help 显示其参数。",
	},
	{
		"Never ask the user through the client; previews and tokens instead. For clients that say that they can ask, and drop the question.",
		"不通过客户端询问用户，改用预览和令牌。用于声称可以询问、实际却丢弃询问的客户端。",
	},
	{"Never change instances that match one.", "禁止变更匹配其中之一的实例。"},
	{"Offer only these toolsets.", "只提供这些工具集。"},
	{"Offer only tools that change nothing.", "只提供只读工具。"},
	{"Only a person can consent, at a terminal. A script cannot.", "只能由人在终端中确认，脚本不能确认。"},
	{"Only calls about this instance, desktop or run.", "只列出与该实例、云桌面或任务有关的调用。"},
	{
		"Only calls of this caller: its name, or the sub of its access token.",
		"只列出该调用方的调用：写名称，或访问令牌的 sub。",
	},
	{"Only calls of this tool.", "只列出该工具的调用。"},
	{
		"Only records since then: a duration such as 24h, a date, or a time as in RFC 3339.",
		"只列出此后的记录：24h 这样的时长、日期，或者 RFC 3339 格式的时间。",
	},
	{
		"Play every act: mistakes, made-up tokens, Huawei Cloud Workspace.",
		"演示全部内容：有误的调用、编造的令牌、华为云 Workspace。",
	},
	{"Policy:", "策略："},
	{
		"Print a link that makes the client offer the installation, and write nothing.",
		"输出一个让客户端提示安装的链接，不写入任何文件。",
	},
	{"Print the configuration to paste, and write nothing.", "输出可供粘贴的配置，不写入任何文件。"},
	{"Print the findings as JSON.", "以 JSON 输出检查结果。"},
	{"Print the records as they are, one JSON object a line.", "原样输出记录，每行一个 JSON 对象。"},
	{"Print the result of tools/list as clients get it.", "原样输出客户端得到的 tools/list 结果。"},
	{
		"Print the script that completes commands, tools, arguments and instances in a shell.",
		"输出 shell 补全脚本，可补全命令、工具、参数和实例。",
	},
	{"Print the structured result, or the error, as JSON.", "以 JSON 输出结构化结果或错误。"},
	{"Print the tool table of the README.", "输出 README 中的工具表格。"},
	{"Print version, commit and Go version.", "输出版本、提交和 Go 版本。"},
	{"Private key of the certificate in PEM; read again on SIGHUP.", "PEM 格式的证书私钥；收到 SIGHUP 时重新读取。"},
	{
		"Prove the chain of an audit log with its rotated files, or name its first broken record.",
		"校验审计日志（含轮转文件）的哈希链，或指出第一条损坏的记录。",
	},
	{
		"Redis that replicas share for what must happen once, such as redis://HOST:PORT, with SCNET_MCP_STATE_PASSWORD as password; needs --key-file.",
		"多副本共用的 Redis，用于保证只发生一次的操作，例如 redis://HOST:PORT，密码取自 SCNET_MCP_STATE_PASSWORD；需要同时给出 --key-file。",
	},
	{
		"Remove records of changes that are older than so many days. Default: they stay for ever.",
		"清理早于该天数的变更记录。默认永久保留。",
	},
	{
		"Requests of one caller per second, in the long run, and as many from its calls to the services; default: 200.",
		"每个调用方平均每秒的请求数，其调用向服务发出的请求也以此为限；默认 200。",
	},
	{"Run \"%s <command> --help\" for more information on a command.", "用“%s <命令> --help”查看某个命令的详细说明。"},
	{
		"Run an in-memory SCNet or Huawei Cloud Workspace as an HTTP server on this machine.",
		"在本机以 HTTP 服务的形式运行内存中的 SCNet 或华为云 Workspace 模拟器。",
	},
	{
		"Say what each caller of a file may do, or everything that is wrong with the file.",
		"说明文件中每个调用方可以做什么，或指出文件中的全部错误。",
	},
	{
		"Send each checkpoint to this address too, by POST, with SCNET_MCP_AUDIT_ANCHOR_TOKEN as bearer token; needs --audit-key.",
		"同时把每个检查点以 POST 发送到该地址，以 SCNET_MCP_AUDIT_ANCHOR_TOKEN 作为 Bearer 令牌；需要同时给出 --audit-key。",
	},
	{"Serve MCP over stdio (the default command) or HTTP.", "通过 stdio（默认）或 HTTP 提供 MCP 服务。"},
	{"Show context-sensitive help.", "显示当前命令的帮助。"},
	{
		"Show the access address of an instance to those who ask for it. Anyone with that address can use the instance.",
		"有人请求时显示实例的访问地址。任何人有了该地址都可以使用该实例。",
	},
	{"Show the arguments of this tool.", "显示该工具的参数。"},
	{"Show the help of a command, or of a tool.", "显示命令或工具的帮助。"},
	{"Show what a client would be offered, and how long the list is.", "列出客户端会得到的工具，以及列表的大小。"},
	{
		"Sign the audit log with this key, which audit keygen makes, in checkpoints that audit verify --key checks.",
		"用该密钥为审计日志签名：密钥由 audit keygen 生成，签名写入检查点，由 audit verify --key 校验。",
	},
	{
		"Start the server on simulated instances, drive it with an MCP client, print what was asked and answered.",
		"基于模拟实例启动服务器，由 MCP 客户端调用，并打印请求和答复。",
	},
	{
		"Switch to another reading of the documentation, such as list-form=query. Repeatable.",
		"切换到对文档的另一种理解，例如 list-form=query。可重复给出。",
	},
	{
		"Take access tokens (JWTs) of this OAuth authorization server, from those whom an entry with oauth in the callers file selects; needs --callers and --public-url.",
		"接受该 OAuth 授权服务器签发的访问令牌（JWT），须由调用方文件中含 oauth 的条目选中；需要同时给出 --callers 和 --public-url。",
	},
	{"Take the server out again, as uninstall does.", "移除服务器，与 uninstall 相同。"},
	{"Take the server out of the configuration of an MCP client.", "从 MCP 客户端的配置中移除服务器。"},
	{"The audit log. Default: the one in the user's state directory.", "审计日志。默认为用户状态目录中的日志。"},
	{
		"The audit log. Its rotated files and those of attempts belong to it.",
		"审计日志，包括它的轮转文件和记录尝试的文件。",
	},
	{"The callers file.", "调用方文件。"},
	{
		"The client; without one, all are listed with their configuration files.",
		"客户端；不给出则列出全部客户端及其配置文件。",
	},
	{
		"The configuration, where it is not in its usual place, such as one of a project.",
		"配置文件，用于不在默认位置的情况，例如项目自己的配置。",
	},
	{
		"The name of the caller, for the audit log: lower-case letters, digits, dots, underscores and hyphens.",
		"调用方的名称，记入审计日志：由小写字母、数字、点、下划线和连字符组成。",
	},
	{
		"The new file for the private key. Keep it outside the folder of the audit log.",
		"存放私钥的新文件。请不要放在审计日志所在的目录。",
	},
	{"The server's name in the client.", "服务器在客户端中的名称。"},
	{"The shell: bash, zsh or fish.", "shell：bash、zsh 或 fish。"},
	{"Web pages that may call, such as https://chat.example.org.", "允许调用的网页来源，例如 https://chat.example.org。"},
	{"What goes to stderr: debug, info, warn or error.", "输出到 stderr 的日志级别：debug、info、warn 或 error。"},
	{
		"What the client shall start. Default: this program, where it is now.",
		"客户端启动的程序。默认为本程序目前所在的位置。",
	},
	{
		"Where clients reach the server for MCP, such as https://mcp.example.org/mcp; its host is an allowed host.",
		"客户端访问 MCP 服务的完整地址，例如 https://mcp.example.org/mcp；其中的主机名自动允许。",
	},
	{
		"Where every attempt to change something is recorded; off for nowhere. Default: audit.jsonl in the user's state directory.",
		"记录每次变更尝试的文件；off 表示不记录。默认为用户状态目录中的 audit.jsonl。",
	},
	{"Where to listen; default: 127.0.0.1:8765.", "监听地址；默认 127.0.0.1:8765。"},
	{"Which service: ${enum}.", "服务：${enum}。"},
	{
		"Who may call, with which token, and what each may do; read again on SIGHUP; see callers new. Needed as soon as another machine can connect, also through a proxy.",
		"谁可以调用、使用哪个令牌、各自可以做什么；收到 SIGHUP 时重新读取；参见 callers new。只要其他机器可以连接（包括通过代理），就必须给出。",
	},
	{"Words for the model:", "给模型的文字："},
	{"Work on audit logs.", "处理审计日志。"},
	{"Work on files of callers.", "处理调用方文件。"},
	{"Work on simulated instances instead of SCNet; needs no account.", "操作模拟实例而不是 SCNet；不需要账号。"},
	{
		"Write the server into the configuration of an MCP client, after showing the change.",
		"把服务器写入 MCP 客户端的配置，写入前先显示改动。",
	},
	{
		"Write the token to this new file, which only its owner can read, instead of stderr.",
		"把令牌写入这个新文件（只有文件所有者可读），而不是 stderr。",
	},
	{"Write without asking. For scripts.", "不询问，直接写入。用于脚本。"},
	{"help takes the name of a command or of a tool, and no flags", "help 后面只能是命令或工具的名称，不能有选项"},
	{"list of %s; repeat the name for each", "%s的列表；每项都要重复写出参数名"},
	{"list of objects, as JSON", "对象的列表，以 JSON 给出"},
	{"number", "数字"},
	{
		"scnet-mcp call --help lists the flags, and the ways to give arguments.",
		"scnet-mcp call --help 列出选项，以及给出参数的各种方式。",
	},
	{
		"stdio, http (Streamable HTTP at /mcp) or sse (the older HTTP+SSE at /sse and /message, and /mcp too); default: stdio.",
		"stdio、http（/mcp 上的 Streamable HTTP）或 sse（/sse 和 /message 上较旧的 HTTP+SSE，同时也有 /mcp）；默认 stdio。",
	},
	{"there is no tool %q; the tools are %s", "没有工具 %q；全部工具为 %s"},
	{"true|false", "true|false"},
	{"whole number", "整数"},
}
