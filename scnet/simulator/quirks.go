package simulator

import (
	"fmt"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Quirks switches between the behaviours that the documentation, and what has been seen of the service, leave open. The zero
// value is what the pages say.
type Quirks struct {
	// ListForm selects where the list operation takes its parameters from.
	ListForm ListForm `key:"list-form" words:"body body-or-query query task-list any"`
	// ListRefusal selects how the list path that ListForm rules out answers.
	ListRefusal ListRefusal `key:"list-refusal" words:"not-found method html parameter"`
	// ListIgnoresStart serves the first page again and again.
	ListIgnoresStart bool `key:"list-ignores-start"`
	// ListMaxLimit caps limit silently when positive.
	ListMaxLimit int `key:"list-max-limit"`
	// TotalAbsent leaves out the top-level total of the list.
	TotalAbsent bool `key:"total-absent"`

	// CodeAsInt sends code as a JSON number.
	CodeAsInt bool `key:"code-as-int"`
	// Success200 sends 200 instead of 0 as the code of success.
	Success200 bool `key:"success-200"`
	// MessageField sends "message" instead of "msg".
	MessageField bool `key:"message-field"`
	// ErrorStatus sends business errors as HTTP 4xx/5xx with the same JSON, instead of HTTP 200.
	ErrorStatus bool `key:"error-status"`

	// TaskNumberString follows the table of page container/query (string) instead of its sample (int).
	TaskNumberString bool `key:"task-number-string"`
	// ContainerPortInt sends containerPort as a number instead of a string.
	ContainerPortInt bool `key:"container-port-int"`
	// EmptyLists selects how empty mountInfoList and containerPortInfoList look.
	EmptyLists EmptyLists `key:"empty-lists" words:"as-sampled null array"`
	// StatusWords replaces status words in answers, for example {"Terminated": "Stopped"}.
	StatusWords map[string]string `key:"status-words"`

	// PlatformFirst puts the platform's entry first in token lists, to punish clients that take the first token. The sample
	// of page get-user-tokens-aksk has it last.
	PlatformFirst bool `key:"platform-first"`
	// ClusterIDNumber sends clusterId in token lists as a number.
	ClusterIDNumber bool `key:"cluster-id-number"`
	// SuspendedToken selects what a suspended region's entry in the token list looks like.
	SuspendedToken SuspendedToken `key:"suspended-token" words:"null missing empty disabled"`
	// VagueTokenErrors sends the table's text for every 10009 of the token endpoint instead of a reason.
	VagueTokenErrors bool `key:"vague-token-errors"`
	// RenewData selects the shape of the renewal answer.
	RenewData RenewData `key:"renew-data" words:"array string object"`
	// FrozenUser answers every container call with 10007.
	FrozenUser bool `key:"frozen-user"`

	// CenterArray follows the table of page get-center-info (data is an array) instead of its sample (an object).
	CenterArray bool `key:"center-array"`
	// CenterIDString sends the center's id as a string.
	CenterIDString bool `key:"center-id-string"`
	// URLsWithService ends the addresses in /ai, /hpc, /efile and /eshell, as the sample of page get-center-info does.
	// Otherwise they are bare, as the pages of the services use them. Both have been seen live.
	URLsWithService bool `key:"urls-with-service"`
	// AIURLs selects whether there are any aiUrls.
	AIURLs AIURLs `key:"ai-urls" words:"present empty null"`
	// AIURLDecoy puts a disabled entry with a dead URL before the others.
	AIURLDecoy bool `key:"ai-url-decoy"`
	// Enable selects how the enable member of the URL entries looks.
	Enable Enable `key:"enable" words:"string bool missing false-string false-bool"`

	// DetailUnknown selects how the detail of an unknown id answers.
	DetailUnknown DetailUnknown `key:"detail-unknown" words:"null error"`
	// AccessURL selects the host form of access URLs.
	AccessURL AccessURL `key:"access-url" words:"internal public service"`
	// RestartID selects which id restart answers with.
	RestartID RestartID `key:"restart-id" words:"task same new"`
	// StopEndedFails refuses to stop what is not active, with 817140.
	StopEndedFails bool `key:"stop-ended-fails"`
	// DeleteActiveFails refuses to delete an instance that is Waiting, Deploying or Running, with 716866.
	DeleteActiveFails bool `key:"delete-active-fails"`
	// DeleteBatch selects what happens when some of several ids cannot be deleted.
	DeleteBatch DeleteBatch `key:"delete-batch" words:"atomic ignores-unknown partial"`
	// CardsRunOut lets an instance wait until its resource group has as many accelerators free as it needs, instead of there
	// always being enough. It matters from the next create or restart on.
	CardsRunOut bool `key:"cards-run-out"`
	// CreateChecks refuses to create, with 716865, what names an image that the region does not list, or mounts a directory
	// outside those allowed.
	CreateChecks bool `key:"create-checks"`
	// RangeIgnored answers downloads with the whole file whatever part is asked for.
	RangeIgnored bool `key:"range-ignored"`
	// LengthUnknown sends downloads without a Content-Length.
	LengthUnknown bool `key:"length-unknown"`
	// FileLag hides what was made or changed in the file service less than this long ago, as a back end does whose view of
	// the storage is late.
	FileLag time.Duration `key:"file-lag"`
	// SecondFileURL gives the file service a second address, which is another back end: with a FileLag, each of the two shows at
	// once what was made through it, and what came from elsewhere only later.
	SecondFileURL bool `key:"second-file-url"`
	// ImagesRecords puts the images in data.records instead of data.data.
	ImagesRecords bool `key:"images-records"`
}

// ParseQuirks adds switches to q, as written on a command line: "code-as-int,list-form=query".
func ParseQuirks(text string, q *Quirks) error {
	if err := fakecloud.ParseKeys(text, q); err != nil {
		return fmt.Errorf("quirk %q: %w", text, err)
	}
	return nil
}

// ListForm says where the list operation takes its parameters from.
type ListForm int

// The forms of the list operation.
const (
	// ListBody is the documented form: GET …/task with a JSON body. The query is ignored.
	ListBody ListForm = iota
	// ListBodyOrQuery is GET …/task; the query counts if the body is empty.
	ListBodyOrQuery
	// ListQuery is GET …/task with a query. The body is ignored.
	ListQuery
	// ListTaskList is GET …/task/list with a query.
	ListTaskList
	// ListAny accepts every form any known client sends.
	ListAny
)

// ListRefusal says how a list path answers that is not served.
type ListRefusal int

// The ways to refuse.
const (
	RefuseNotFound  ListRefusal = iota // HTTP 404, HTML
	RefuseMethod                       // HTTP 405, HTML
	RefuseHTML                         // HTTP 200, HTML: a gateway's login page
	RefuseParameter                    // business code 10003
)

// EmptyLists says how lists without elements look in an instance.
type EmptyLists int

// The looks of empty lists.
const (
	EmptyAsSampled EmptyLists = iota // null in list answers, [] in detail answers
	EmptyNull
	EmptyArray
)

// SuspendedToken says what a suspended region's token looks like.
type SuspendedToken int

// The looks of a suspended region's token.
const (
	SuspendedNull    SuspendedToken = iota // "token": null, as page get-user-tokens-aksk says
	SuspendedMissing                       // no token member
	SuspendedEmpty                         // "token": ""
	// SuspendedDisabled is a token whose claims say accountStatus Disable, as in the sample token of that page. Container
	// calls answer 10007 then.
	SuspendedDisabled
)

// RenewData is the shape of the data member of a renewal answer.
type RenewData int

// The shapes of a renewal answer.
const (
	RenewArray  RenewData = iota // [{"token": …}], the table of page renewal-token
	RenewString                  // the token itself
	RenewObject                  // {"token": …}
)

// AIURLs says whether a center answer has aiUrls.
type AIURLs int

// The looks of aiUrls.
const (
	AIURLsPresent AIURLs = iota
	AIURLsEmpty
	AIURLsNull
)

// Enable is the look of the enable member of URL entries.
type Enable int

// The looks of enable.
const (
	EnableString Enable = iota // "true"
	EnableBool                 // true
	EnableMissing
	EnableFalseString // "false"
	EnableFalseBool   // false
)

// DetailUnknown says how the detail of an unknown id answers.
type DetailUnknown int

// The answers for an unknown id.
const (
	DetailNull  DetailUnknown = iota // code 0 with data null
	DetailError                      // code 816822, as seen on-premises
)

// AccessURL is the host form of access URLs.
type AccessURL int

// The host forms.
const (
	AccessInternal AccessURL = iota // http://10.0.35.26:7090/jupyter-forward/<id>/?token=…
	AccessPublic                    // https://n-<id>.ksai.scnet.cn:58043/jupyter-forward/<id>/?token=…
	AccessService                   // https://c-<id>.ksai.scnet.cn:58043/, without a token
)

// RestartID says which id restart answers with. The sample of page container/restart answers with another id than the one
// sent, and does not say what it identifies.
type RestartID int

// The ids restart can answer with.
const (
	// RestartTaskID answers with the id of the new task, which becomes the headerNotebookId; the instance keeps its own.
	RestartTaskID RestartID = iota
	// RestartSameID answers with the id sent.
	RestartSameID
	// RestartNewID gives the instance a new id and answers with that; the old one is unknown from then on.
	RestartNewID
)

// DeleteBatch says what happens when some of several ids cannot be deleted.
type DeleteBatch int

// The batch semantics of delete.
const (
	// DeleteAtomic fails with 716866 and deletes nothing.
	DeleteAtomic DeleteBatch = iota
	// DeleteIgnoresUnknown deletes the others and reports success if the ids at fault are merely unknown.
	DeleteIgnoresUnknown
	// DeletePartial deletes the others and fails with 716866 all the same.
	DeletePartial
)
