package fairlead.windows_test

import data.fairlead.windows

window(outside) := {"production": {"weekdays": ["monday", "tuesday"], "from": "07:00", "to": "16:30", "outside": outside}}

at(action, class, weekday, hour, minute) := {
	"action": action, "environment": {"class": class},
	"time": {"weekday": weekday, "hour": hour, "minute": minute},
}

denies(document, outside) := count(said) if {
	said := windows.deny with input as document with data.baseline.windows as window(outside)
}

warns(document, outside) := count(said) if {
	said := windows.warn with input as document with data.baseline.windows as window(outside)
}

test_within_it_passes if denies(at("update", "production", "monday", 7, 0), "deny") == 0

test_until_the_last_minute if denies(at("update", "production", "monday", 16, 29), "deny") == 0

test_after_it_is_denied if denies(at("update", "production", "monday", 16, 30), "deny") == 1

test_before_it_is_denied if denies(at("create", "production", "tuesday", 6, 59), "deny") == 1

test_on_another_day_it_is_denied if denies(at("destroy", "production", "sunday", 12, 0), "deny") == 1

test_or_only_advised if {
	document := at("update", "production", "sunday", 12, 0)
	denies(document, "advise") == 0
	warns(document, "advise") == 1
}

test_advice_is_no_denial_and_no_denial_advice if warns(at("update", "production", "sunday", 12, 0), "deny") == 0

test_other_classes_have_no_window if denies(at("update", "development", "sunday", 12, 0), "deny") == 0

test_what_nobody_asks_for_may_happen if denies(at("keep", "production", "sunday", 12, 0), "deny") == 0
