"""Where people take over: cases, the queue, who may do what, and the screens agents work on."""
