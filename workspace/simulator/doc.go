// Package simulator is an in-memory Huawei Cloud Workspace for tests and demos: the script execution on cloud desktops, as
// the API reference at https://support.huaweicloud.com/intl/en-us/api-workspace/ describes it, over real HTTP. Comments name
// its pages by the official name of the operation. The IAM operation that finds a project's id is served by the same
// listener.
//
// Requests must be signed, or carry a token, as for the real service: the signature is recomputed from the headers that the
// client says it signed.
//
// What the pages state is what a zero [Quirks] does. Where they leave something open, either a field of [Quirks] selects
// another reading, or the comment at the place says that the behaviour is an assumption. [Fault] makes single operations
// misbehave.
//
// Nothing runs in the background, and no script is run: what a task has done so far follows from the [Outcome] of each
// desktop and from [Options.Now].
package simulator
