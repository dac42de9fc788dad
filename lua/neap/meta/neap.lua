---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: what `require "neap"` returns, and the
-- classes that it makes. The manual is docs/neap.md. Nothing loads this file.

---A code for programs: a name of errno(3), "EAI_*", "EOF", "ECLOSED",
---"ECANCELED", "ETIMEDOUT".
---@alias neap.code string

---A descriptor: an integer, a Lua file, or what has a method fileno.
---@alias neap.descriptor integer|file*|{ fileno: fun(self): integer }

---What an interrupted wait raises; prints as "cancelled" or "timed out".
---@class neap.interruption: userdata
---@field code "ECANCELED"|"ETIMEDOUT"

---@class neap.spawn_options
---@field name? string shown by tostring, neap.tasks and in reports
---@field daemon? boolean no neap.run waits for it

---@class neap.stream_options
---@field timeout? number seconds for each call that waits
---@field maxline? integer longest line, 65536 unless given
---@field maxread? integer most that "a" reads, 64 MiB unless given

---@class neap.task_info
---@field task neap.task
---@field id integer
---@field name? string
---@field status neap.status
---@field waits_for? string the call in which it waits
---@field since? number for how many seconds
---@field traceback string

---@alias neap.status "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"

---@class neap.address
---@field family "inet"|"inet6"
---@field ip string
---@field port integer

---@class neap.addresses: neap.address[]
---@field canonname? string

---@class neap.resolve_options
---@field family? "inet"|"inet6"|"any"
---@field canonname? boolean
---@field passive? boolean
---@field timeout? number

---@class neap.interface_address
---@field family "inet"|"inet6"
---@field ip string
---@field prefix integer
---@field broadcast? string
---@field peer? string
---@field zone? string

---@class neap.interface
---@field name string
---@field index integer
---@field flags table<string, true>
---@field mtu? integer
---@field mac? string
---@field addresses neap.interface_address[]

---@class neap
---@field _VERSION string
---@field coroutine neap.coroutinelib
local neap = {}

---Calls fn in a task; returns when it and all tasks begun in it have ended.
---@param fn function
---@param ... any
---@return any ... fn's results
function neap.run(fn, ...) end

---Begins a task that calls fn(...).
---@param fn function
---@param ... any
---@return neap.task
---@overload fun(options: neap.spawn_options, fn: function, ...: any): neap.task
function neap.spawn(fn, ...) end

---The task that is running, or nil at top level.
---@return neap.task?
function neap.running() end

---Waits; 0 gives way to the other tasks once.
---@param seconds number
---@return true
function neap.sleep(seconds) end

---The monotonic clock.
---@return number seconds
function neap.now() end

---Calls fn(...) and gives everything inside of it so much time.
---@param seconds number
---@param fn function
---@param ... any
---@return any ... fn's results, or nil, "timed out", "ETIMEDOUT"
function neap.timeout(seconds, fn, ...) end

---Told of a task that failed while no one was joining it. Assignable.
---@param task neap.task
---@param err any
---@param traceback string
function neap.onerror(task, err, traceback) end

---The live tasks, oldest first.
---@return neap.task_info[]
function neap.tasks() end

---A set of tasks that end before the scope that began them:
---`local group <close> = neap.group()`.
---@return neap.group
function neap.group() end

---A queue between tasks; 0, the default: a send waits for its receiver.
---@param capacity? integer
---@return neap.channel
function neap.channel(capacity) end

---Something that has happened or not.
---@return neap.event
function neap.event() end

---n of something that tasks take and give back.
---@param n integer
---@return neap.semaphore
function neap.semaphore(n) end

---Does the first of several channel operations that can happen:
---`neap.select { { ch, "receive" }, { ch, "send", value }, timeout = 1 }`.
---@param cases { [integer]: { [1]: neap.channel, [2]: "receive"|"send", [3]: any }, timeout: number? }
---@return integer? index
---@return any value or a message
---@return neap.code? code
function neap.select(cases) end

---Waits until a descriptor that is not neap's is ready.
---@param fd neap.descriptor
---@param mode "r"|"w"|"rw"
---@param timeout? number
---@return "r"|"w"|"rw"|nil ready
---@return string? message
---@return neap.code? code
function neap.wait(fd, mode, timeout) end

---Makes a stream of a descriptor, which it owns from then on.
---@param fd neap.descriptor
---@param options? neap.stream_options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function neap.stream(fd, options) end

---Connects to "tcp://host:port", "udp://host:port", "unix:/path" or
---"unix:@abstract".
---@param url string
---@param options? neap.tcp.connect_options|neap.udp.connect_options|neap.stream_options
---@return neap.stream|neap.message|nil
---@return string? message
---@return neap.code? code
function neap.connect(url, options) end

---Listens on the same.
---@param url string
---@param options? neap.tcp.listen_options|neap.udp.open_options|neap.unix.listen_options
---@return neap.listener|neap.message|nil
---@return string? message
---@return neap.code? code
function neap.listen(url, options) end

---Looks up the addresses of a host, as getaddrinfo(3) does, without blocking.
---@param host? string
---@param service? integer|string
---@param options? neap.resolve_options
---@return neap.addresses?
---@return string? message
---@return neap.code? code
function neap.resolve(host, service, options) end

---The network interfaces of this machine.
---@return neap.interface[]?
---@return string? message
---@return neap.code? code
function neap.interfaces() end

---Claims signals, to be waited for: "TERM", "SIGTERM" or a number.
---@param name string|integer
---@param ... string|integer
---@return neap.signal
function neap.signal(name, ...) end

---Runs what is ready and asks the poller once.
---@param timeout? number 0 unless given
---@return boolean? alive whether tasks live
---@return string? message
---@return neap.code? code
function neap.step(timeout) end

---The descriptor that a host polls for input.
---@return integer?
---@return string? message
---@return neap.code? code "ENOTSUP"
function neap.pollfd() end

---Seconds until the next deadline; 0 if a task is ready, nil if there is none.
---@return number?
function neap.next_deadline() end

---The poller's name.
---@return "epoll"|"poll"
function neap.poller() end

---In a child after fork: a fresh loop.
---@return true?
---@return string? message
---@return neap.code? code
function neap.reset() end

---As the standard table; a call that waits inside of one of these coroutines
---makes the task around it wait.
---@class neap.coroutinelib: coroutinelib
local coroutines = {}

---Puts it in place of the global table; returns what was there.
---@return table
function coroutines.install() end

---@class neap.task
local task = {}

---Waits until it has ended. Returns its results or raises its error.
---@return any ... or nil, "cancelled", "ECANCELED"
function task:join() end

---Cancels it; does not wait.
---@param grace? number seconds that its handlers may wait, 5 unless given
---@return neap.task
function task:cancel(grace) end

---@return neap.status
function task:status() end

---@return integer
function task:id() end

---@return string?
function task:name() end

---@class neap.group
local group = {}

---Begins a task in the group.
---@param fn function
---@param ... any
---@return neap.task
---@overload fun(self: neap.group, options: neap.spawn_options, fn: function, ...: any): neap.task
function group:spawn(fn, ...) end

---Waits until all members have ended; raises the first member's error.
---@return neap.group
function group:wait() end

---Cancels every member; does not wait.
---@param grace? number
---@return neap.group
function group:cancel(grace) end

---How many members live.
---@return integer
function group:count() end

---What the end of the scope does.
function group:close() end

---@class neap.channel
---@operator len: integer
local channel = {}

---Sends anything but nil.
---@param value any
---@param timeout? number
---@return true?
---@return string? message
---@return neap.code? code "ECLOSED", "ETIMEDOUT"
function channel:send(value, timeout) end

---The next value.
---@param timeout? number
---@return any value nil, message, code if there is none
---@return string? message
---@return neap.code? code "ECLOSED", "ETIMEDOUT"
function channel:receive(timeout) end

---No more values; those in it may still be received.
---@return true
function channel:close() end

---for value in channel:values() do: until it is closed and empty.
---@return fun(channel: neap.channel): any
---@return neap.channel
function channel:values() end

---@class neap.event
local event = {}

---Wakes all who wait.
---@return neap.event
function event:set() end

---@return neap.event
function event:clear() end

---@return boolean
function event:isset() end

---@param timeout? number
---@return true?
---@return string? message
---@return neap.code? code "ETIMEDOUT"
function event:wait(timeout) end

---@class neap.semaphore
local semaphore = {}

---Takes one; waits while there is none.
---@param timeout? number
---@return true?
---@return string? message
---@return neap.code? code "ETIMEDOUT"
function semaphore:acquire(timeout) end

---Gives one back.
---@return neap.semaphore
function semaphore:release() end

---Calls fn while holding one, and gives it back however fn ends.
---@param fn function
---@param ... any
---@return any ... fn's results
function semaphore:with(fn, ...) end

---How many are there to be acquired.
---@return integer
function semaphore:count() end

---@class neap.signal
local signal = {}

---The name of the next signal, without "SIG".
---@param timeout? number
---@return string?
---@return string? message
---@return neap.code? code "ETIMEDOUT", "ECLOSED"
function signal:wait(timeout) end

---Lets go of the signals.
function signal:close() end
