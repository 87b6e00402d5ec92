package job

// Subjects of the messages between roles.
const (
	SubjectTask   = "task.changed" // gateway → controller: a task id that wants a decision
	SubjectWant   = "work.want"    // worker → controller: Want, answered by Grants
	SubjectRenew  = "work.renew"   // worker → controller: Renewal, answered by Refusals
	SubjectStop   = "work.stop."   // controller → worker: + worker name, trace ids
	SubjectEvents = "events."      // + task id: what is shown live
	SubjectEnded  = "ended."       // controller → gateway: + gateway name, the callback
	SubjectPosts  = "posts"        // controller → results: something is in the outbox
	StreamAnswers = "answers"      // durable, worker → controller: Answer
)
