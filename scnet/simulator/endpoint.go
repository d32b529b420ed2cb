package simulator

import (
	"net/http"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// Endpoint names one operation of the API.
type Endpoint string

// The operations, with the documentation pages that describe them.
const (
	EndpointToken     Endpoint = "token"     // safecertification/get-user-tokens-aksk
	EndpointPassword  Endpoint = "password"  // safecertification/get-user-tokens
	EndpointRenew     Endpoint = "renew"     // safecertification/renewal-token
	EndpointState     Endpoint = "state"     // safecertification/get-token-state
	EndpointCenter    Endpoint = "center"    // safecertification/get-center-info
	EndpointList      Endpoint = "list"      // container/query
	EndpointDetail    Endpoint = "detail"    // container/detail
	EndpointURL       Endpoint = "url"       // container/query-url
	EndpointRestart   Endpoint = "restart"   // container/restart
	EndpointStop      Endpoint = "stop"      // no page known
	EndpointDelete    Endpoint = "delete"    // container/delete
	EndpointExecute   Endpoint = "execute"   // container/execute
	EndpointCreate    Endpoint = "create"    // container/create
	EndpointResize    Endpoint = "resize"    // no page known
	EndpointResources Endpoint = "resources" // container/resources
	EndpointGroups    Endpoint = "groups"    // container/group
	EndpointMounts    Endpoint = "mounts"    // container/allowed-mount-dir
	EndpointImages    Endpoint = "images"    // container/getImages
	EndpointCluster   Endpoint = "cluster"   // no page known; of the region's HPC service
)

// The operations of the file service, with the pages under efile/.
const (
	EndpointFileList       Endpoint = "file-list"       // list
	EndpointFileDownload   Endpoint = "file-download"   // download
	EndpointFileExist      Endpoint = "file-exist"      // exist
	EndpointFileMkdir      Endpoint = "file-mkdir"      // folder-create
	EndpointFileTouch      Endpoint = "file-touch"      // file-touch
	EndpointFileUpload     Endpoint = "file-upload"     // upload
	EndpointFileRemove     Endpoint = "file-remove"     // no page seen
	EndpointFileRename     Endpoint = "file-rename"     // file-rename
	EndpointFilePermission Endpoint = "file-permission" // check-permission
)

// Endpoints lists all operations.
func Endpoints() []Endpoint {
	return []Endpoint{
		EndpointToken, EndpointPassword, EndpointRenew, EndpointState, EndpointCenter,
		EndpointList, EndpointDetail, EndpointURL, EndpointRestart, EndpointStop,
		EndpointDelete, EndpointExecute, EndpointCreate, EndpointResize,
		EndpointResources, EndpointGroups, EndpointMounts, EndpointImages, EndpointCluster,
		EndpointFileList, EndpointFileDownload, EndpointFileExist, EndpointFileMkdir, EndpointFileTouch,
		EndpointFileUpload, EndpointFileRemove, EndpointFileRename, EndpointFilePermission,
	}
}

type route = fakecloud.Route[Endpoint, func(*call) reply]

const (
	platformPath = "/ac/openapi/v2"
	servicePath  = "/ai/openapi/v2/instance-service"
	filePath     = "/efile/openapi/v2/file"
)

var platformRoutes = []route{
	fakecloud.On(EndpointToken, http.MethodPost, "/api/user/v3/tokens", (*call).token),
	fakecloud.On(EndpointPassword, http.MethodPost, platformPath+"/tokens", (*call).password),
	fakecloud.On(EndpointRenew, http.MethodPost, platformPath+"/tokens/next", (*call).renew),
	fakecloud.On(EndpointState, http.MethodGet, platformPath+"/tokens/state", (*call).state),
	fakecloud.On(EndpointCenter, http.MethodGet, platformPath+"/center", (*call).center),
}

var containerRoutes = []route{
	fakecloud.On(EndpointList, http.MethodGet, servicePath+"/task", (*call).listTask),
	fakecloud.On(EndpointList, http.MethodGet, servicePath+"/task/list", (*call).listTaskList),
	fakecloud.On(EndpointDetail, http.MethodGet, servicePath+"/{id}/detail", (*call).detail),
	fakecloud.On(EndpointURL, http.MethodGet, servicePath+"/{id}/url", (*call).accessURL),
	fakecloud.On(EndpointRestart, http.MethodPost, servicePath+"/task/actions/restart", (*call).restart),
	fakecloud.On(EndpointStop, http.MethodPost, servicePath+"/task/actions/stop", (*call).stop),
	fakecloud.On(EndpointDelete, http.MethodDelete, servicePath+"/task", (*call).delete),
	fakecloud.On(EndpointExecute, http.MethodPost, servicePath+"/task/actions/execute-script", (*call).execute),
	fakecloud.On(EndpointCreate, http.MethodPost, servicePath+"/task", (*call).create),
	fakecloud.On(EndpointResize, http.MethodPost, servicePath+"/resource-spec/actions/update", (*call).resize),
	fakecloud.On(EndpointResources, http.MethodGet, servicePath+"/resources", (*call).resources),
	fakecloud.On(EndpointGroups, http.MethodGet, servicePath+"/resource-group", (*call).groups),
	fakecloud.On(EndpointMounts, http.MethodGet, servicePath+"/allowed-mount-dir", (*call).mounts),
	fakecloud.On(EndpointImages, http.MethodPost, "/ai/openapi/v2/image/images", (*call).images),
	fakecloud.On(EndpointCluster, http.MethodGet, "/hpc/openapi/v2/cluster", (*call).cluster),
	fakecloud.On(EndpointFileList, http.MethodGet, filePath+"/list", (*call).fileList),
	fakecloud.On(EndpointFileDownload, http.MethodGet, filePath+"/download", (*call).fileDownload),
	fakecloud.On(EndpointFileExist, http.MethodPost, filePath+"/exist", (*call).fileExist),
	fakecloud.On(EndpointFileMkdir, http.MethodPost, filePath+"/mkdir", (*call).fileMkdir),
	fakecloud.On(EndpointFileTouch, http.MethodPost, filePath+"/touch", (*call).fileTouch),
	fakecloud.On(EndpointFileUpload, http.MethodPost, filePath+"/upload", (*call).fileUpload),
	fakecloud.On(EndpointFileRemove, http.MethodPost, filePath+"/remove", (*call).fileRemove),
	fakecloud.On(EndpointFileRename, http.MethodPost, filePath+"/rename", (*call).fileRename),
	fakecloud.On(EndpointFilePermission, http.MethodPost, filePath+"/permission", (*call).filePermission),
}
