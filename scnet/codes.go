package scnet

import (
	"cmp"
	"slices"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// code is what SCNet documents about one of its codes. Only a refusal that the page of an operation lists is proof that
// nothing was done; every other code leaves a write uncertain.
type code struct {
	meaning, hint upstream.Text
	ofID          bool   // the hint is about the id that was sent, which a list does not have
	refused       string // the operation that it refuses, or anyOp
	internal      bool   // a failure inside the service, which may pass

	kind  upstream.Kind // with cause: what it is, where more can be said than that the service refused
	cause error
}

const anyOp = "any"

func (c code) refuses(op string) bool {
	return c.refused == anyOp || c.refused != "" && c.refused == op
}

// codes holds those of the container and token pages, and some of neighbouring services that were seen here.
var codes = map[string]code{
	"10001": {internal: true, meaning: upstream.Text{English: "internal error", Chinese: "内部异常(其他异常)"}, hint: upstream.Text{
		English: "Try again later; if it stays, ask SCNet support with the time of the call.",
		Chinese: "请稍后重试；如仍然失败，请把调用时间告诉 SCNet 客服。",
	}},
	"10003": {refused: anyOp, meaning: upstream.Text{English: "a parameter is missing", Chinese: "参数不全"}},
	"10004": {refused: anyOp, meaning: upstream.Text{English: "a parameter is invalid", Chinese: "参数无效"}, hint: upstream.Text{
		English: "Check ids and values; an id of another region is invalid here.",
		Chinese: "请检查 ID 和参数值；其他区域的 ID 在这里无效。",
	}},
	"10007": {refused: anyOp, meaning: upstream.Text{English: "the user is frozen", Chinese: "用户已被冻结"}},
	"10008": {refused: anyOp, meaning: upstream.Text{
		English: "insufficient permission; in practice the token is expired or invalid", Chinese: "权限不足",
	}},
	"10009": {refused: anyOp, meaning: upstream.Text{English: "no permission for this interface", Chinese: "没有权限访问接口"}, hint: upstream.Text{
		English: "The account lacks the right to use this interface; ask its owner or SCNet support.",
		Chinese: "账号没有使用该接口的权限；请咨询账号所有者或 SCNet 客服。",
	}},
	"10010": {refused: anyOp, meaning: upstream.Text{English: "file checksum failed", Chinese: "文件校验失败"}},
	"10011": {refused: anyOp, meaning: upstream.Text{English: "file too large", Chinese: "文件过大"}, hint: upstream.Text{
		English: "Send less.", Chinese: "请减少发送的内容。",
	}},
	"10012": {internal: true, meaning: upstream.Text{English: "connection interrupted", Chinese: "连接中断"}, hint: upstream.Text{
		English: "Look at the instance before trying again.", Chinese: "重试之前请先查看实例。",
	}},
	"716020": {internal: true, ofID: true, meaning: upstream.Text{English: "database query error", Chinese: "查询数据库错误"}, hint: upstream.Text{
		English: "Often an id that does not exist; list the instances and compare.", Chinese: "通常是 ID 不存在；请列出实例并核对。",
	}},
	"716864": {refused: opExecute, meaning: upstream.Text{English: "the script could not be started", Chinese: "执行脚本错误"}, hint: upstream.Text{
		English: "Check that the instance is Running, then try again.", Chinese: "请确认实例处于 Running 状态，然后重试。",
	}},
	"716865": {refused: opCreate, meaning: upstream.Text{English: "the task could not be created", Chinese: "创建任务错误"}, hint: upstream.Text{
		English: "Compare the size, the time limit, the image and the mounts with what list_resources shows for the resource group.",
		Chinese: "请对照 list_resources 显示的资源组限制，检查规格、超时时间、镜像和挂载目录。",
	}},
	"716866": {refused: opDelete, meaning: upstream.Text{English: "the task could not be deleted", Chinese: "删除任务失败"}, hint: upstream.Text{
		English: "Look at the instance's status; stop it first if it is running.", Chinese: "请查看实例状态；如正在运行，请先停止。",
	}},
	"716868": {refused: opRestart, meaning: upstream.Text{English: "the task could not be started", Chinese: "启动任务错误"}, hint: upstream.Text{
		English: "Look at the instance's status and the free cards of its resource group.", Chinese: "请查看实例状态和所在资源组的空闲加速卡。",
	}},
	"716870": {refused: opExecute, meaning: upstream.Text{English: "wrong number of containers", Chinese: "实例数量错误"}, hint: upstream.Text{
		English: "Usually no container of the instance is running; check its status.", Chinese: "通常是实例没有正在运行的容器；请查看其状态。",
	}},
	"817140": {meaning: upstream.Text{English: "it has already stopped", Chinese: "已停止"}}, // seen with notebooks, on no page
	// The file service's. An operation that it lists a code for has done nothing.
	"911009": {refused: anyOp, kind: upstream.Setup, cause: ErrNoFiles, meaning: upstream.Text{
		English: "the account has no cluster user here", Chinese: "区域用户不存在",
	}},
	"911020": {refused: anyOp, kind: upstream.NotFound, cause: ErrNoFile, meaning: upstream.Text{
		English: "the file or directory does not exist", Chinese: "文件不存在",
	}},
	"911021": {refused: anyOp, kind: upstream.Refused, cause: ErrFileExists, meaning: upstream.Text{
		English: "the file or directory exists", Chinese: "文件已存在",
	}},
	"911022": {refused: anyOp, kind: upstream.Refused, cause: ErrNotFolder, meaning: upstream.Text{
		English: "not a directory", Chinese: "目标不是目录",
	}},
	"911030": {refused: anyOp, kind: upstream.Permission, cause: ErrNoAccess, meaning: upstream.Text{
		English: "permission denied", Chinese: "没有权限",
	}},
	"911404": {internal: true, meaning: upstream.Text{English: "the service's own authentication is not reachable", Chinese: "认证服务不可达"}},
	"911406": {refused: anyOp, meaning: upstream.Text{English: "the token check failed", Chinese: "令牌校验失败"}},
	"911501": {refused: anyOp, kind: upstream.Refused, cause: ErrNoSpace, meaning: upstream.Text{
		English: "the storage space is exhausted", Chinese: "存储空间不足",
	}},
	"911502": {refused: anyOp, meaning: upstream.Text{English: "the directory is not empty", Chinese: "目录非空"}},
	"816822": {meaning: upstream.Text{English: "the task does not exist", Chinese: "任务不存在"}},
	"1001":   {meaning: upstream.Text{English: "unknown error, or the token is invalid", Chinese: "未知异常"}},
	"1004":   {meaning: upstream.Text{English: "a parameter must not be empty", Chinese: "参数不能为空"}},
}

// Code is what SCNet documents about one of its codes, or what was learnt about it.
type Code struct {
	Code    string
	Meaning upstream.Text
	Hint    upstream.Text // what to do; may be empty
}

// Codes returns the known codes, sorted as numbers.
func Codes() []Code {
	known := make([]Code, 0, len(codes))
	for number, c := range codes {
		known = append(known, Code{number, c.meaning, c.hint})
	}
	slices.SortFunc(known, func(a, b Code) int {
		return cmp.Or(cmp.Compare(len(a.Code), len(b.Code)), cmp.Compare(a.Code, b.Code))
	})
	return known
}
