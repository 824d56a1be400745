package main

import "fmt"

// The sample events: a small one of paths and known functions, and a larger one with real expressions.
const (
	playVideo    = `{"name":"play_video","timestamp":"2023-02-03T14:18:20.089151+00:00","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0","client_id":null,"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","course_user_tags":{},"event_source":"browser","host":"learn.openacademy.example","ip":"192.0.2.11","org_id":"OpenAcademy","page":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/cells/","path":"/event","referer":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/cells/?activate_block_id=block-v1%3AOpenAcademy%2BBIO101","session":"c9f0f895fb98ab9159f51fd0297e236d","user_id":11,"username":"amara","asides":{}},"data":{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5,"currentTime":69.855595,"current_time":69.855595}}`
	problemCheck = `{"name":"problem_check","timestamp":"2022-12-16T07:48:00.021614+00:00","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0","client_id":null,"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","course_user_tags":{},"event_source":"server","host":"learn.openacademy.example","ip":"192.0.2.11","module":{"display_name":"Organelles","usage_key":"block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e"},"org_id":"OpenAcademy","page":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/quiz/","path":"/courses/course-v1:OpenAcademy+BIO101+2026_T1/xblock/block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e/handler/xmodule_handler/problem_check","referer":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/quiz/","session":"c9f0f895fb98ab9159f51fd0297e236d","user_id":11,"username":"amara"},"data":{"answers":{"9dfd38f1a03af88ed10074689227731e_2_1":"mitochondria"},"attempts":1,"correct_map":{"9dfd38f1a03af88ed10074689227731e_2_1":{"answervariable":null,"correctness":"correct","hint":"","hintmode":null,"msg":"","npoints":null,"queuestate":null}},"grade":2,"max_grade":5,"problem_id":"block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e","state":{"correct_map":{},"done":null,"has_saved_answers":false,"input_state":{"9dfd38f1a03af88ed10074689227731e_2_1":{}},"score":{"raw_earned":0,"raw_possible":1},"seed":1,"student_answers":{}},"submission":{"9dfd38f1a03af88ed10074689227731e_2_1":{"answer":"mitochondria","correct":true,"group_label":"","input_type":"textline","question":"What makes most of the energy of a cell?","response_type":"stringresponse","variant":""}},"success":"correct"}}`
)

// share is the part of an event name in the mix of a real site, in tenths of a percent.
type share struct {
	name   string
	weight int
	event  string
}

// mix is what a site with many courses sends; the rest is spread evenly over the other mapped events.
func mix() []share {
	const head = `"timestamp":"2023-02-03T14:18:20.089151+00:00","context":{"agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/141.0","course_id":"course-v1:OpenAcademy+BIO101+2026_T1","event_source":"%s","host":"learn.openacademy.example","ip":"192.0.2.11","org_id":"OpenAcademy","path":"/event","referer":"https://learn.openacademy.example/courses/","session":"c9f0f895fb98ab9159f51fd0297e236d","user_id":11,"username":"amara"}`
	event := func(name, source, data string) string {
		return fmt.Sprintf(`{"name":%q,`+fmt.Sprintf(head, source)+`,"data":%s}`, name, data)
	}
	const video = `{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5,"currentTime":69.855595}`
	shares := []share{
		{"edx.grades.course.grade_calculated", 200, event("edx.grades.course.grade_calculated", "server", `{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","course_version":"63e2","grading_policy_hash":"abc=","letter_grade":"B","percent_grade":0.84,"user_id":11}`)},
		{"play_video", 140, playVideo},
		{"edx.ui.lms.sequence.next_selected", 125, event("edx.ui.lms.sequence.next_selected", "browser", `{"current_tab":2,"id":"block-v1:OpenAcademy+BIO101+2026_T1+type@sequential+block@week1","tab_count":7,"widget_placement":"top"}`)},
		{"problem_check (browser)", 99, event("problem_check", "browser", `"input_9dfd38f1a03af88ed10074689227731e_2_1=mitochondria"`)},
		{"problem_check (server)", 95, problemCheck},
		{"pause_video", 89, event("pause_video", "browser", video)},
		{"load_video", 71, event("load_video", "browser", `{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5}`)},
		{"complete_video", 51, event("complete_video", "browser", `{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5}`)},
		{"seek_video", 51, event("seek_video", "browser", `{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5,"old_time":64.25,"new_time":120,"type":"onSlideSeek"}`)},
		{"stop_video", 37, event("stop_video", "browser", video)},
	}
	rest := []share{
		{"edx.course.enrollment.activated", 0, event("edx.course.enrollment.activated", "server", `{"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":11,"mode":"audit"}`)},
		{"edx.grades.subsection.grade_calculated", 0, event("edx.grades.subsection.grade_calculated", "server", `{"block_id":"block-v1:OpenAcademy+BIO101+2026_T1+type@sequential+block@week1","course_id":"course-v1:OpenAcademy+BIO101+2026_T1","user_id":11,"weighted_total_earned":2.0,"weighted_total_possible":5.0}`)},
		{"edx.completion.block_completion.changed", 0, event("edx.completion.block_completion.changed", "server", `{"block_id":"block-v1:OpenAcademy+BIO101+2026_T1+type@video+block@e8a8","completion":1.0,"user_id":11}`)},
		{"edx.forum.thread.created", 0, event("edx.forum.thread.created", "server", `{"id":"65f0c1d2a4b3e20001a7c001","title":"Are viruses alive?","body":"I read both answers.","thread_type":"question","commentable_id":"course"}`)},
		{"showanswer", 0, event("showanswer", "server", `{"problem_id":"block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd"}`)},
		{"edx.ui.lms.link_clicked", 0, event("edx.ui.lms.link_clicked", "browser", `{"current_url":"https://learn.openacademy.example/","target_url":"https://museum.example/collections"}`)},
		{"speed_change_video", 0, event("speed_change_video", "browser", `{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5,"old_speed":"1.0","new_speed":"1.50","currentTime":12}`)},
	}
	for _, s := range rest {
		s.weight = 42 / len(rest)
		shares = append(shares, s)
	}
	return shares
}
