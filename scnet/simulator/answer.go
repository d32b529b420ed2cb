package simulator

import (
	"net/http"
	"strconv"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// The business codes the operations answer with, from the tables of the documentation pages unless marked otherwise.
const (
	codeOK         = "0"
	codeInternal   = "10001"
	codeIncomplete = "10003"
	codeInvalid    = "10004"
	codeFrozen     = "10007"
	codeForbidden  = "10008"
	codeUnverified = "10009"
	codeTooLarge   = "10011"
	codeExecute    = "716864"
	codeCreate     = "716865"
	codeDelete     = "716866"
	codeStart      = "716868"
	codeCount      = "716870"
	codeUnknown    = "816822" // seen on-premises, on no page
	codeStopped    = "817140" // seen with notebooks, on no page

	codeNoRoute   = "1001"   // what the file service answers to an unknown route or a wrong method
	codeNoFile    = "911020" // of the file service, as are the following
	codeFileThere = "911021"
	codeNotFolder = "911022"
	codeNoAccess  = "911030"
	codeNotEmpty  = "911502"
)

var codeText = map[string]string{
	codeInternal:   "内部异常",
	codeIncomplete: "参数不全",
	codeInvalid:    "参数无效",
	codeFrozen:     "用户已被冻结",
	codeForbidden:  "权限不足",
	codeUnverified: "校验失败",
	"10010":        "文件校验失败",
	codeTooLarge:   "文件过大",
	"10012":        "连接中断",
	"716020":       "查询数据库错误",
	codeExecute:    "执行脚本错误",
	codeCreate:     "创建任务错误",
	codeDelete:     "删除任务失败",
	codeStart:      "启动任务错误",
	codeCount:      "实例数量错误",
	codeUnknown:    "任务不存在",
	codeStopped:    "任务已停止",
	codeNoRoute:    "未知异常",
	codeNoFile:     "File does not exist",
	codeFileThere:  "File already exists",
	codeNotFolder:  "Not a directory",
	codeNoAccess:   "Permission denied",
	"911501":       "Storage space is exhausted",
	codeNotEmpty:   "Directory is not empty",
}

// containerText is what the tables of the container pages say otherwise.
var containerText = map[string]string{
	codeInternal:   "内部异常(其他异常)",
	codeUnverified: "没有权限访问接口",
}

// reply is what an operation answers, before it is encoded.
type reply struct {
	code  string
	msg   string
	data  any
	total *int
	page  int // answer with an HTML page of this HTTP status instead
	file  *fakecloud.Answer
}

// ok is the reply of success.
func ok(data any) reply { return reply{code: codeOK, msg: "success", data: data} }

// fail is the reply of a business error.
func fail(code string) reply { return reply{code: code, msg: codeText[code]} }

// page is a reply that does not come from the service but from what is in front of it.
func page(status int) reply { return reply{page: status} }

// envelope is the JSON around every answer. The list operation puts total beside data, not inside (page container/query).
type envelope struct {
	Code    any     `json:"code"`
	Msg     *string `json:"msg,omitempty"`
	Message *string `json:"message,omitempty"`
	Total   *int    `json:"total,omitempty"`
	Data    any     `json:"data"`
}

func (r reply) encode(q Quirks) fakecloud.Answer {
	switch {
	case r.page != 0:
		return fakecloud.Page(r.page)
	case r.file != nil:
		return *r.file
	}
	status := http.StatusOK
	if q.ErrorStatus && r.code != codeOK {
		status = errorStatus(r.code)
	}
	if q.Success200 && r.code == codeOK {
		r.code = "200"
	}
	return r.jsonAnswer(status, q.CodeAsInt, q.MessageField)
}

func (r reply) jsonAnswer(status int, codeAsInt, messageField bool) fakecloud.Answer {
	e := envelope{Code: r.code, Total: r.total, Data: r.data}
	if n, err := strconv.Atoi(r.code); err == nil && codeAsInt {
		e.Code = n
	}
	if messageField {
		e.Message = &r.msg
	} else {
		e.Msg = &r.msg
	}
	return fakecloud.JSON(status, r.code, e)
}

// errorStatus is the HTTP status of a business error when errors have one.
func errorStatus(code string) int {
	switch code {
	case codeIncomplete, codeInvalid:
		return http.StatusBadRequest
	case codeForbidden:
		return http.StatusUnauthorized
	case codeFrozen, codeUnverified:
		return http.StatusForbidden
	case codeUnknown:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}
