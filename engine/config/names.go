package config

import "slices"

// Names that both backends let through by default.
var commonNames = []string{
	"edx.course.enrollment.activated",
	"edx.course.enrollment.deactivated",
	"edx.course.grade.passed.first_time",

	"edx.ui.lms.link_clicked",
	"edx.ui.lms.outline.selected",
	"edx.ui.lms.sequence.next_selected",
	"edx.ui.lms.sequence.outline.selected",
	"edx.ui.lms.sequence.previous_selected",
	"edx.ui.lms.sequence.tab_selected",

	"edx.problem.hint.demandhint_displayed",
	"problem_check",
	"showanswer",

	"complete_video",
	"edx.video.completed",
	"edx.video.loaded",
	"edx.video.paused",
	"edx.video.played",
	"edx.video.position.changed",
	"edx.video.stopped",
	"edx.video.transcript.hidden",
	"edx.video.transcript.shown",
	"hide_transcript",
	"load_video",
	"pause_video",
	"play_video",
	"seek_video",
	"show_transcript",
	"stop_video",
}

// Names that only xAPI lets through by default.
var xapiOnlyNames = []string{
	"edx.course.enrollment.mode_changed",
	"edx.course.grade.now_failed",
	"edx.course.grade.now_passed",
	"edx.grades.course.grade_calculated",
	"edx.grades.subsection.grade_calculated",
	"edx.completion.block_completion.changed",

	"edx.special_exam.practice.attempt.created",
	"edx.special_exam.practice.attempt.submitted",
	"edx.special_exam.proctored.attempt.created",
	"edx.special_exam.proctored.attempt.submitted",
	"edx.special_exam.timed.attempt.created",
	"edx.special_exam.timed.attempt.submitted",

	"edx.forum.thread.created",
	"edx.forum.thread.deleted",
	"edx.forum.thread.edited",
	"edx.forum.thread.reported",
	"edx.forum.thread.unreported",
	"edx.forum.thread.viewed",
	"edx.forum.thread.voted",
	"edx.forum.response.created",
	"edx.forum.response.deleted",
	"edx.forum.response.edited",
	"edx.forum.response.reported",
	"edx.forum.response.unreported",
	"edx.forum.response.voted",
	"edx.forum.comment.created",
	"edx.forum.comment.deleted",
	"edx.forum.comment.edited",
	"edx.forum.comment.reported",
	"edx.forum.comment.unreported",

	"edx.video.closed_captions.hidden",
	"edx.video.closed_captions.shown",
	"edx.video.language_menu.hidden",
	"edx.video.language_menu.shown",
	"speed_change_video",
	"video_hide_cc_menu",
	"video_show_cc_menu",
}

// XAPINames returns the names of the events that are transformed to xAPI
// unless xapi.names or xapi.regex say otherwise, sorted. The caller owns the slice.
func XAPINames() []string {
	names := slices.Concat(commonNames, xapiOnlyNames)
	slices.Sort(names)
	return names
}

// CaliperNames returns the names of the events that are transformed to Caliper
// unless caliper.names or caliper.regex say otherwise, sorted. The caller owns
// the slice.
func CaliperNames() []string { return slices.Sorted(slices.Values(commonNames)) }
