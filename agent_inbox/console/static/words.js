// All that the console says, in English and Chinese. Both lists have the same keys.

const EN = {
  "nav.inbox": "Inbox", "nav.knowledge": "Knowledge", "nav.team": "Team", "nav.account": "Account",
  "nav.sign_out": "Sign out", "nav.theme": "Dark or light", "nav.keys": "Keys",
  "nav.offline": "Connection lost. Trying again…",
  "sign_in.title": "Sign in", "sign_in.email": "E-mail", "sign_in.password": "Password", "sign_in.go": "Sign in",
  "sign_in.first_run": "Nobody can sign in yet. Open the one-time link that the server printed when it started.",
  "welcome.first": "Become the first admin", "welcome.first_hint": "This link works once. You will be able to add the others.",
  "welcome.title": "Choose your password", "welcome.name": "Name customers see",
  "welcome.password": "Password, at least 12 characters", "welcome.go": "Continue",
  "list.queue": "Queue", "list.mine": "Mine", "list.all": "All",
  "list.empty.queue": "Nobody is waiting.", "list.empty.mine": "You have no open conversations.", "list.empty.all": "No conversations yet.",
  "list.more": "Show more", "list.visitor": "Visitor {id}", "list.waits": "waits {time}", "list.you": "you",
  "state.waiting": "Waiting", "state.agent": "With {name}", "state.bot": "With the bot", "state.closed": "Closed", "state.you": "Yours",
  "thread.none": "Choose a conversation", "thread.none_hint": "j and k go through the list.",
  "thread.earlier": "Show earlier lines", "thread.new": "New lines", "thread.card": "Card", "thread.back": "Back to the list",
  "thread.typing": "{name} is typing…", "thread.customer_typing": "The customer is typing…",
  "line.customer": "Customer", "line.bot": "Bot", "line.system": "Tandem", "line.note": "Note by {name}", "line.note_hint": "only colleagues see this",
  "line.edited": "edited", "line.withdrawn": "taken back by the customer", "line.sources": "Sources ({count})", "line.pressed": "pressed: {label}",
  "card.summary": "In short, by the model", "summary.wants": "Wants", "summary.tried": "Tried", "summary.facts": "Facts",
  "why.open": "Why?", "why.title": "Why the bot said this", "why.p": "Probability of being right", "why.cuts": "{p} (answers from {answer}, asks back from {suggest})",
  "why.reasons": "Reasons", "why.writer": "Written by", "why.writer.model": "the language model, from these passages", "why.writer.quoted": "quoted word for word", "why.writer.none": "nobody: nothing was said",
  "why.restated": "Understood as", "why.translated": "Searched as", "why.faults": "The model's text was held back for", "why.version": "Knowledge version", "why.time": "Time",
  "why.found": "Found", "why.nothing": "Nothing.", "why.scores": "score {score} · words {keyword} · letters {grams} · meaning {vector}",
  "why.calls": "Calls of the model", "why.call": "{prompt} · {model} · {tokens} tokens · {ms} ms", "why.features": "Evidence", "why.today": "Today", "why.replay": "Ask again with today's documents", "why.same": "The same would come out.",
  "why.action.answer": "Answered", "why.action.suggest": "Asked back", "why.action.decline": "Declined",
  "why.reason.confident": "the evidence is strong enough", "why.reason.between": "the evidence is in between", "why.reason.far_out_of_scope": "nothing in the documents is about it",
  "why.reason.no_passage": "the topic is known, the passage is missing", "why.reason.look_alike": "a passage only looks alike", "why.reason.not_a_question": "not a question",
  "why.reason.other_language": "found in the other language", "why.reason.empty_base": "no documents", "why.reason.value_check": "a value was not in the passage",
  "why.reason.not_in_passages": "the model read the passages and found no answer", "why.reason.restated": "found by the question restated from the talk", "why.reason.translated": "found by the translated question",
  "why.reason.assist_mode": "assist mode", "why.reason.keywords_only": "found by words alone",
  "delivery.pending": "on its way", "delivery.sending": "on its way", "delivery.failed": "not delivered", "delivery.unknown": "may not have arrived",
  "delivery.cancelled": "withdrawn before it was sent", "delivery.why": ": {why}", "delivery.resend": "Resend",
  "reason.blocked": "the customer blocked the bot", "reason.late": "it was too late", "reason.taken": "somebody else has the conversation",
  "file.file": "File", "file.image": "Photo", "file.voice": "Voice message", "file.sticker": "Sticker", "file.location": "Location", "file.contact": "Contact",
  "file.unsupported": "Something that cannot be shown here", "file.nowhere": "cannot be shown here", "file.show": "Show", "file.save": "Save {name}",
  "file.no_picture": "This picture cannot be shown.", "file.attach": "Attach files", "file.to_send": "Files to send", "file.remove": "Remove {name}",
  "file.sending": "Sending {name}", "file.too_many": "At most {count} files in one message.", "file.too_big": "{name} is larger than 20 MB.", "file.empty": "{name} is empty.",
  "mark.handed_over": "Handed over to people", "mark.claimed": "Claimed", "mark.released": "Back in the queue",
  "mark.handed_back": "Back with the bot", "mark.resolved": "Resolved", "mark.reopened": "Reopened", "mark.joined": "Accounts joined", "mark.parted": "Accounts parted",
  "do.claim": "Claim", "do.take_over": "Take over", "do.release": "Release", "do.hand_back": "Back to the bot", "do.resolve": "Resolve", "do.cancel": "Cancel",
  "write.reply": "Reply", "write.note": "Note", "write.reply_to": "Write to {name}", "write.claims": "Writing takes the conversation over from the bot or the queue.",
  "write.note_here": "A note for colleagues. The customer never sees it.", "write.send": "Send", "write.claim_send": "Claim and send",
  "write.take_send": "Take over and send", "write.reopen_send": "Reopen and send", "write.save_note": "Save note", "write.hint": "Ctrl+Enter",
  "stale.view": "The customer wrote meanwhile:", "stale.owner": "{name} has this conversation now.", "stale.moved": "The conversation has moved on.",
  "stale.send": "Send anyway", "stale.take": "Take over and send", "stale.keep": "Keep editing", "stale.reload": "It has changed meanwhile; this is how it stands now.",
  "back.title": "Hand back to the bot", "back.agreed": "What was agreed (the customer reads it)", "back.hint": "The bot answers again from here. It sees what you wrote.",
  "end.title": "Resolve", "end.outcome": "How did it end?", "end.topic": "Topic", "end.topic_hint": "e.g. delivery",
  "outcome.solved": "Solved", "outcome.unsolved": "Not solved", "outcome.no_reply": "The customer stopped answering", "outcome.spam": "Spam",
  "outcome.handed_back": "Handed back to the bot", "outcome.left": "Went back to the bot", "outcome.none": "Closed", "outcome.joined": "Joined with another case",
  "card.case": "Case {number}", "card.place": "Place {place} in the queue", "card.since": "open for {time}", "card.why": "Why it is here",
  "card.wants": "What they want", "card.tried": "What the bot tried", "card.known": "Already known", "card.earlier": "Earlier cases",
  "card.accounts": "Accounts of this person", "people.join": "Join with another person…", "people.undo": "Undo", "people.by": "by {name}",
  "people.undo_title": "Undo this link?", "people.undo_what": "{channel} ({name}) and all that was said there goes back to a person of its own. The customer is told.",
  "people.reason": "Why", "people.reason_hint": "Stays in the audit, and colleagues read it.",
  "people.join_title": "Join two people", "people.join_what": "Their conversations become one, and each account shows all of it. Do this only if you know that they are the same person: a name alone proves nothing.",
  "people.who": "The other person", "people.who_hint": "Part of a name, a whole e-mail, an account id or a case number", "people.found": "Found", "people.nobody": "Nobody is found.",
  "people.more": "More", "people.unnamed": "Visitor {id}", "people.sure": "I know that they are the same person", "people.join_do": "Join",
  "proof.channel": "own account", "proof.host_token": "signed in on the website", "proof.deep_link": "one-time link", "proof.verified_email": "same verified e-mail", "proof.agent": "joined",
  "channel.web": "Website chat", "channel.telegram": "Telegram", "channel.slack": "Slack",
  "card.nothing_tried": "Nothing yet.", "card.nothing_said": "Nothing but asking for a person.", "card.no_case": "No open case: the bot has this conversation.",
  "card.copied": "Copied", "card.copy": "Copy", "card.helpful": "helpful", "card.not_helpful": "not helpful", "card.first_reply": "First reply after {time}",
  "tried.say": "Answered", "tried.offer": "Asked back", "tried.decline": "Said it does not know",
  "signal.asked": "Asked for a person", "signal.repeated": "Asked the same again", "signal.low_confidence": "The bot was not sure",
  "signal.out_of_words": "Sent something the bot cannot read", "signal.failed": "The bot failed", "signal.old": "The message was old", "signal.agent": "Taken by an agent",
  "fact.language": "Language", "fact.channel": "Channel", "fact.name": "Name", "fact.email": "E-mail", "fact.phone": "Phone", "fact.amount": "Amount", "fact.code": "Number",
  "language.en": "English", "language.zh": "Chinese",
  "know.title": "Knowledge", "know.lead": "The bot answers from these documents, and cites them.", "know.drop": "Drop files here, or", "know.pick": "choose files",
  "know.kinds": "PDF, Word, Excel, CSV, HTML, Markdown or text, up to 20 MB each. A file of the same name becomes a new version.",
  "know.address": "Address of a page or sitemap", "know.add_page": "Add page", "know.fetching": "Fetching", "know.audience": "For whom",
  "know.audience.public": "Everybody", "know.audience.customers": "Customers", "know.audience.staff": "Staff", "know.audience.unchanged": "As before (new: everybody)",
  "know.audience.changed": "Changed. Whoever may no longer read it is told nothing of it any more.",
  "know.roll_back": "Answer from this version", "know.rolled_back": "The bot answers from this version again.", "know.wordings": "Also asked as: {list}",
  "know.pace": "{rate} a second, {time} left", "know.seconds": "{count} s", "know.minutes": "{count} min",
  "know.health.questions": "Questions it can answer (estimate)", "know.health.wordings": "Other wordings", "know.health.pages": "Pages",
  "know.health.empty": "Empty pages", "know.health.scanned": "Scanned pages", "know.health.each": "{count} with {each} characters each ({least} to {most})",
  "know.empty": "No documents yet. The bot can only hand over.",
  "know.document": "Document", "know.state": "State", "know.passages": "Passages", "know.updated": "Updated", "know.remove": "Remove",
  "know.remove_sure": "Remove “{name}”? The bot stops citing it at once.", "know.sending": "sending {share} %", "know.health": "Health report", "know.versions": "Versions",
  "know.health.characters": "Characters", "know.health.chunks": "Passages", "know.health.duplicate": "Repeated text", "know.health.unknown": "Words the embedder lacks",
  "know.health.language": "Language", "know.health.fine": "Nothing stands out.", "know.embedded": "{count} embedded anew", "know.readonly": "Admins add and remove documents.",
  "rev.queued": "Queued", "rev.parsing": "Reading", "rev.embedding": "Indexing {done} of {total}", "rev.verifying": "Checking", "rev.live": "Live",
  "rev.superseded": "Replaced", "rev.failed": "Failed",
  "team.title": "Team", "team.lead": "Who answers customers. Customers see the name, never the e-mail.", "team.add": "Add somebody", "team.name": "Name", "team.role": "Role",
  "team.role.agent": "Agent", "team.role.admin": "Admin", "team.invited": "Invited", "team.active": "Active", "team.disabled": "Disabled", "team.disable": "Disable",
  "team.enable": "Enable", "team.link": "New link", "team.link_title": "A link for {name}", "team.link_hint": "Pass it on safely: it works once, for three days, and is not shown again.",
  "team.you": "you", "team.make_admin": "Make admin", "team.make_agent": "Make agent",
  "me.title": "Account", "me.language": "Language of the console", "me.old": "Current password", "me.new": "New password", "me.change": "Change password",
  "me.changed": "Changed. Your other browsers were signed out.", "me.browsers": "Where you are signed in", "me.this": "this browser", "me.end": "Sign out there", "me.save": "Save", "me.saved": "Saved",
  "keys.title": "Keys", "keys.jk": "next and previous conversation", "keys.r": "reply", "keys.n": "note", "keys.c": "claim", "keys.b": "back to the bot", "keys.e": "resolve", "keys.send": "send what is written",
  "keys.help": "this list", "do.close": "Close", "do.add": "Add",
  "problem.offline": "The server cannot be reached.", "problem.signed-out": "Sign in first.", "problem.wrong-credentials": "E-mail or password is wrong.",
  "problem.weak-password": "This password would be guessed.", "problem.link-spent": "This link was used or has expired. Ask for a new one.", "problem.forbidden": "You may not do this.",
  "problem.foreign-origin": "This page has another address than the server expects.", "problem.not-found": "This is not there any more.", "problem.illegal-move": "This cannot be done now.",
  "problem.stale-owner": "Somebody else was quicker.", "problem.stale-view": "The customer wrote meanwhile.", "problem.taken": "Somebody has this e-mail already.",
  "problem.too-large": "This is too large.", "problem.wrong-type": "This cannot be read.", "problem.invalid": "Something is missing or too long", "problem.bad-request": "This cannot be read.",
  "problem.too-much": "Too many tries. Wait a minute.", "problem.unreadable-document": "This document cannot be taken in", "problem.knowledge-down": "The knowledge base does not answer just now.", "problem.no-earlier-version": "There is no earlier version to go back to.",
  "problem.file-gone": "This file is not there any more", "problem.empty-file": "This file is empty.", "problem.provider-down": "The network that has this file does not hand it out just now",
  "problem.busy": "The server is busy. Try again.", "problem.failed": "Something broke on our side", "problem.": "Something went wrong.",
  "weak.short": "At least 12 characters, please.", "weak.long": "At most 200 characters, please.", "weak.common": "This is one of the most common passwords.",
  "weak.simple": "Repeats and rows of keys are guessed first.", "weak.own_email": "Not your own e-mail, please.",
};

const ZH = {
  "nav.inbox": "收件箱", "nav.knowledge": "知识库", "nav.team": "团队", "nav.account": "账户",
  "nav.sign_out": "退出", "nav.theme": "深色或浅色", "nav.keys": "快捷键",
  "nav.offline": "连接已断开，正在重试…",
  "sign_in.title": "登录", "sign_in.email": "邮箱", "sign_in.password": "密码", "sign_in.go": "登录",
  "sign_in.first_run": "目前还没有人能登录。请打开服务器启动时打印的一次性链接。",
  "welcome.first": "成为第一位管理员", "welcome.first_hint": "此链接只能使用一次。之后您可以添加其他人。",
  "welcome.title": "设置您的密码", "welcome.name": "客户看到的名字",
  "welcome.password": "密码，至少 12 个字符", "welcome.go": "继续",
  "list.queue": "排队", "list.mine": "我的", "list.all": "全部",
  "list.empty.queue": "没有人在排队。", "list.empty.mine": "您没有进行中的会话。", "list.empty.all": "还没有会话。",
  "list.more": "显示更多", "list.visitor": "访客 {id}", "list.waits": "已等 {time}", "list.you": "您",
  "state.waiting": "排队中", "state.agent": "{name} 处理中", "state.bot": "机器人处理中", "state.closed": "已关闭", "state.you": "您处理中",
  "thread.none": "请选择一个会话", "thread.none_hint": "按 j 和 k 在列表中移动。",
  "thread.earlier": "显示更早的消息", "thread.new": "有新消息", "thread.card": "资料卡", "thread.back": "返回列表",
  "thread.typing": "{name} 正在输入…", "thread.customer_typing": "客户正在输入…",
  "line.customer": "客户", "line.bot": "机器人", "line.system": "Tandem", "line.note": "{name} 的备注", "line.note_hint": "仅同事可见",
  "line.edited": "已编辑", "line.withdrawn": "客户已撤回", "line.sources": "来源（{count}）", "line.pressed": "按下：{label}",
  "card.summary": "模型概括", "summary.wants": "诉求", "summary.tried": "已尝试", "summary.facts": "事实",
  "why.open": "为什么？", "why.title": "机器人为什么这样说", "why.p": "正确的概率", "why.cuts": "{p}（达到 {answer} 才回答，达到 {suggest} 才反问）",
  "why.reasons": "理由", "why.writer": "撰写者", "why.writer.model": "语言模型，依据以下段落", "why.writer.quoted": "逐字引用", "why.writer.none": "无：没有作答",
  "why.restated": "理解为", "why.translated": "搜索为", "why.faults": "模型的文字被拦下，原因", "why.version": "知识库版本", "why.time": "用时",
  "why.found": "找到的内容", "why.nothing": "没有。", "why.scores": "得分 {score} · 词语 {keyword} · 字母 {grams} · 语义 {vector}",
  "why.calls": "模型调用", "why.call": "{prompt} · {model} · {tokens} 个词元 · {ms} 毫秒", "why.features": "证据", "why.today": "今天", "why.replay": "用今天的文档再问一次", "why.same": "结果相同。",
  "why.action.answer": "已回答", "why.action.suggest": "反问", "why.action.decline": "未回答",
  "why.reason.confident": "证据充分", "why.reason.between": "证据介于两者之间", "why.reason.far_out_of_scope": "文档中没有相关内容",
  "why.reason.no_passage": "主题已知，但缺少相应段落", "why.reason.look_alike": "段落只是相似", "why.reason.not_a_question": "不是提问",
  "why.reason.other_language": "在另一种语言中找到", "why.reason.empty_base": "没有文档", "why.reason.value_check": "有数值不在段落中",
  "why.reason.not_in_passages": "模型读了段落，没有找到答案", "why.reason.restated": "按对话改写问题后找到", "why.reason.translated": "翻译问题后找到",
  "why.reason.assist_mode": "辅助模式", "why.reason.keywords_only": "仅按词语找到",
  "delivery.pending": "发送中", "delivery.sending": "发送中", "delivery.failed": "未送达", "delivery.unknown": "可能未送达",
  "delivery.cancelled": "发送前已撤下", "delivery.why": "：{why}", "delivery.resend": "重新发送",
  "reason.blocked": "客户屏蔽了机器人", "reason.late": "已超过时限", "reason.taken": "会话已由他人负责",
  "file.file": "文件", "file.image": "图片", "file.voice": "语音消息", "file.sticker": "表情贴纸", "file.location": "位置", "file.contact": "名片",
  "file.unsupported": "此处无法显示的内容", "file.nowhere": "此处无法显示", "file.show": "显示", "file.save": "保存 {name}",
  "file.no_picture": "无法显示此图片。", "file.attach": "添加文件", "file.to_send": "待发送的文件", "file.remove": "移除 {name}",
  "file.sending": "正在上传 {name}", "file.too_many": "一条消息最多 {count} 个文件。", "file.too_big": "{name} 超过 20 MB。", "file.empty": "{name} 是空文件。",
  "mark.handed_over": "已转人工", "mark.claimed": "已认领", "mark.released": "已放回队列",
  "mark.handed_back": "已交还机器人", "mark.resolved": "已解决", "mark.reopened": "已重新打开", "mark.joined": "账号已合并", "mark.parted": "账号已拆分",
  "do.claim": "认领", "do.take_over": "接管", "do.release": "放回队列", "do.hand_back": "交还机器人", "do.resolve": "解决", "do.cancel": "取消",
  "write.reply": "回复", "write.note": "备注", "write.reply_to": "回复 {name}", "write.claims": "发送后，会话将从机器人或队列转到您名下。",
  "write.note_here": "写给同事的备注，客户永远看不到。", "write.send": "发送", "write.claim_send": "认领并发送",
  "write.take_send": "接管并发送", "write.reopen_send": "重新打开并发送", "write.save_note": "保存备注", "write.hint": "Ctrl+Enter",
  "stale.view": "客户刚刚又写道：", "stale.owner": "{name} 现在负责此会话。", "stale.moved": "会话已有变化。",
  "stale.send": "仍然发送", "stale.take": "接管并发送", "stale.keep": "继续编辑", "stale.reload": "期间有变化，现在的情况如下。",
  "back.title": "交还机器人", "back.agreed": "约定内容（客户会看到）", "back.hint": "此后由机器人继续回答，它能看到您写的内容。",
  "end.title": "解决", "end.outcome": "结果如何？", "end.topic": "主题", "end.topic_hint": "例如：配送",
  "outcome.solved": "已解决", "outcome.unsolved": "未解决", "outcome.no_reply": "客户不再回复", "outcome.spam": "垃圾信息",
  "outcome.handed_back": "交还机器人", "outcome.left": "客户回到机器人", "outcome.none": "已关闭", "outcome.joined": "与另一工单合并",
  "card.case": "工单 {number}", "card.place": "排队第 {place} 位", "card.since": "已开启 {time}", "card.why": "转人工原因",
  "card.wants": "客户诉求", "card.tried": "机器人的尝试", "card.known": "已知信息", "card.earlier": "以往工单",
  "card.accounts": "此人的账号", "people.join": "与另一人合并…", "people.undo": "撤销", "people.by": "操作人：{name}",
  "people.undo_title": "撤销此关联？", "people.undo_what": "{channel}（{name}）及其全部对话将重新成为独立的一个人。客户会收到通知。",
  "people.reason": "原因", "people.reason_hint": "会记入审计，同事可见。",
  "people.join_title": "合并两个人", "people.join_what": "两人的对话将合为一个，每个账号都能看到全部内容。请仅在确知是同一人时操作：仅凭姓名不足为证。",
  "people.who": "另一人", "people.who_hint": "姓名的一部分、完整邮箱、账号 ID 或工单编号", "people.found": "搜索结果", "people.nobody": "未找到任何人。",
  "people.more": "更多", "people.unnamed": "访客 {id}", "people.sure": "我确知他们是同一个人", "people.join_do": "合并",
  "proof.channel": "自有账号", "proof.host_token": "在网站上登录", "proof.deep_link": "一次性链接", "proof.verified_email": "相同的已验证邮箱", "proof.agent": "由客服合并",
  "channel.web": "网站聊天", "channel.telegram": "Telegram", "channel.slack": "Slack",
  "card.nothing_tried": "暂无。", "card.nothing_said": "客户只要求转人工。", "card.no_case": "没有进行中的工单：由机器人处理。",
  "card.copied": "已复制", "card.copy": "复制", "card.helpful": "有帮助", "card.not_helpful": "没帮助", "card.first_reply": "首次回复用时 {time}",
  "tried.say": "已回答", "tried.offer": "已追问", "tried.decline": "表示不知道",
  "signal.asked": "要求人工", "signal.repeated": "重复同一问题", "signal.low_confidence": "机器人没有把握",
  "signal.out_of_words": "发送了机器人无法识别的内容", "signal.failed": "机器人出错", "signal.old": "消息已过时", "signal.agent": "客服主动接管",
  "fact.language": "语言", "fact.channel": "渠道", "fact.name": "姓名", "fact.email": "邮箱", "fact.phone": "电话", "fact.amount": "金额", "fact.code": "编号",
  "language.en": "英文", "language.zh": "中文",
  "know.title": "知识库", "know.lead": "机器人依据这些文档回答，并注明出处。", "know.drop": "将文件拖到此处，或", "know.pick": "选择文件",
  "know.kinds": "支持 PDF、Word、Excel、CSV、HTML、Markdown 或纯文本，每个不超过 20 MB。同名文件会成为新版本。",
  "know.address": "网页或站点地图的地址", "know.add_page": "添加网页", "know.fetching": "获取中", "know.audience": "受众",
  "know.audience.public": "所有人", "know.audience.customers": "客户", "know.audience.staff": "员工", "know.audience.unchanged": "保持不变（新文档：所有人）",
  "know.audience.changed": "已更改。不再有权限的人不会再得到其中的内容。",
  "know.roll_back": "用此版本回答", "know.rolled_back": "机器人已改回用此版本回答。", "know.wordings": "其他问法：{list}",
  "know.pace": "每秒 {rate} 段，剩余 {time}", "know.seconds": "{count} 秒", "know.minutes": "{count} 分钟",
  "know.health.questions": "可回答的问题（估计）", "know.health.wordings": "其他问法", "know.health.pages": "页数",
  "know.health.empty": "空白页", "know.health.scanned": "扫描页", "know.health.each": "{count} 页，平均每页 {each} 个字符（{least} 至 {most}）",
  "know.empty": "还没有文档，机器人只能转人工。",
  "know.document": "文档", "know.state": "状态", "know.passages": "段落", "know.updated": "更新时间", "know.remove": "移除",
  "know.remove_sure": "移除“{name}”？机器人将立即停止引用。", "know.sending": "上传中 {share} %", "know.health": "健康报告", "know.versions": "版本",
  "know.health.characters": "字符数", "know.health.chunks": "段落数", "know.health.duplicate": "重复文本", "know.health.unknown": "模型不认识的词",
  "know.health.language": "语言", "know.health.fine": "没有异常。", "know.embedded": "新嵌入 {count} 段", "know.readonly": "文档由管理员添加和移除。",
  "rev.queued": "排队中", "rev.parsing": "读取中", "rev.embedding": "索引中 {done} / {total}", "rev.verifying": "校验中", "rev.live": "已上线",
  "rev.superseded": "已替换", "rev.failed": "失败",
  "team.title": "团队", "team.lead": "谁来回复客户。客户只看到名字，看不到邮箱。", "team.add": "添加成员", "team.name": "名字", "team.role": "角色",
  "team.role.agent": "客服", "team.role.admin": "管理员", "team.invited": "已邀请", "team.active": "正常", "team.disabled": "已停用", "team.disable": "停用",
  "team.enable": "启用", "team.link": "新链接", "team.link_title": "{name} 的链接", "team.link_hint": "请安全转交：仅可使用一次，三天内有效，之后不再显示。",
  "team.you": "您", "team.make_admin": "设为管理员", "team.make_agent": "设为客服",
  "me.title": "账户", "me.language": "控制台语言", "me.old": "当前密码", "me.new": "新密码", "me.change": "修改密码",
  "me.changed": "已修改，您在其他浏览器上的登录已退出。", "me.browsers": "登录位置", "me.this": "当前浏览器", "me.end": "退出该处登录", "me.save": "保存", "me.saved": "已保存",
  "keys.title": "快捷键", "keys.jk": "下一个和上一个会话", "keys.r": "回复", "keys.n": "备注", "keys.c": "认领", "keys.b": "交还机器人", "keys.e": "解决", "keys.send": "发送已写内容",
  "keys.help": "显示此列表", "do.close": "关闭", "do.add": "添加",
  "problem.offline": "无法连接服务器。", "problem.signed-out": "请先登录。", "problem.wrong-credentials": "邮箱或密码不正确。",
  "problem.weak-password": "这个密码太容易被猜到。", "problem.link-spent": "此链接已被使用或已过期，请索取新的。", "problem.forbidden": "您无权执行此操作。",
  "problem.foreign-origin": "此页面的地址与服务器预期不符。", "problem.not-found": "内容已不存在。", "problem.illegal-move": "现在无法执行此操作。",
  "problem.stale-owner": "有人抢先了一步。", "problem.stale-view": "客户刚刚又写了消息。", "problem.taken": "该邮箱已被使用。",
  "problem.too-large": "内容过大。", "problem.wrong-type": "无法读取。", "problem.invalid": "内容缺失或过长", "problem.bad-request": "无法读取。",
  "problem.too-much": "尝试过于频繁，请等一分钟。", "problem.unreadable-document": "无法收录此文档", "problem.knowledge-down": "知识库暂时没有响应。", "problem.no-earlier-version": "没有可以恢复的旧版本。",
  "problem.file-gone": "此文件已不存在", "problem.empty-file": "此文件为空。", "problem.provider-down": "保存此文件的网络暂时无法提供",
  "problem.busy": "服务器繁忙，请重试。", "problem.failed": "我们这边出了问题", "problem.": "出了点问题。",
  "weak.short": "至少需要 12 个字符。", "weak.long": "最多 200 个字符。", "weak.common": "这是最常见的密码之一。",
  "weak.simple": "重复或键盘顺序最先被猜到。", "weak.own_email": "请不要使用自己的邮箱。",
};

const WORDS = { en: EN, zh: ZH };
let language = "en";

export function setLanguage(chosen) {
  language = chosen === "zh" ? "zh" : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** The browser's language, before anybody has signed in. */
export function preferredLanguage() {
  return (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const currentLanguage = () => language;

/** The text of `key`, its {slots} filled. An unknown problem says that something went wrong. */
export function t(key, slots = {}) {
  const text = WORDS[language][key] ?? (key.startsWith("problem.") ? WORDS[language]["problem."] : key);
  return text.replace(/\{(\w+)\}/g, (whole, name) => slots[name] ?? whole);
}

/** A text that the server tells in both languages. */
export const inWords = (words) => words && (words[language] || words.en);

/** What a kind of file is called in a language, whatever the console's is. */
export const labelIn = (which, kind) => WORDS[which][`file.${kind}`];

const REASONS = [[/blocked|does not take messages/i, "blocked"], [/^not delivered in time/, "late"], [/^somebody else has/, "taken"]];

/** Why something was not delivered: known reasons in the reader's language, others as they came. */
export function reasonWords(reason) {
  const known = REASONS.find(([pattern]) => pattern.test(reason));
  return known ? t(`reason.${known[1]}`) : reason;
}

/** "820 KB", "1.4 MB". */
export function fileSize(bytes) {
  if (bytes < 1_000_000) return `${Math.max(1, Math.round(bytes / 1000))} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

const UNITS = { en: ["now", " min", " h", " d"], zh: ["刚刚", " 分钟", " 小时", " 天"] };

/** How long since `iso`, coarsely: "4 min". */
export function ago(iso, until = Date.now()) {
  const minutes = Math.max(0, Math.floor((new Date(until) - new Date(iso)) / 60_000));
  const [now, min, hours, days] = UNITS[language];
  if (minutes < 1) return now;
  if (minutes < 60) return minutes + min;
  if (minutes < 48 * 60) return Math.floor(minutes / 60) + hours;
  return Math.floor(minutes / 1440) + days;
}

/** The time of day, with the date if it was another day. */
export function clock(iso) {
  const date = new Date(iso);
  const today = new Date().toDateString() === date.toDateString();
  const day = today ? {} : { month: "short", day: "numeric" };
  return date.toLocaleString(language === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit", ...day });
}

export const number = (value) => value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB");

/** The keys that only one language has: a test holds the two lists together. */
export const missingWords = () => [
  ...Object.keys(EN).filter((key) => !(key in ZH)),
  ...Object.keys(ZH).filter((key) => !(key in EN)),
];
