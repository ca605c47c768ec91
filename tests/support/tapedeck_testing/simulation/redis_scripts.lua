-- What Redis puts around a script: its globals, `redis.call`, the KEYS and ARGV of a run, and what an answer becomes.
-- Given a function that runs a command (it answers what to do with its other results), one that makes a list, one that adds to it,
-- two that make a status and an error, and one that gives a SHA-1. Gives back two functions: one that compiles a script, one that runs it.
local run_command, list_of, more, status_of, error_of, sha1 = ...
local unpack, type, error, rawset, getinfo = unpack, type, error, rawset, debug.getinfo
local VALUE, TABLE, STATUS = 1, 2, 3
-- So many results of a function surely fit on Lua's stack.
local MOST = 200

local function result(raises, kind, ...)
  if kind == VALUE then return (...) end
  if kind == TABLE then return {...} end
  if kind == STATUS then return {ok = (...)} end
  local failure = {err = (...)}
  if raises then error(failure, 0) end
  return failure
end

local function refusal(text)
  text = string.gsub(text, '^%-', '')
  return {err = string.find(text, ' ', 1, true) and text or 'ERR ' .. text}
end

local redis = {
  call = function(...) return result(true, run_command(...)) end,
  pcall = function(...) return result(false, run_command(...)) end,
  error_reply = function(text) return refusal(text) end,
  status_reply = function(text) return {ok = text} end,
  sha1hex = function(text) return sha1(text) end,
  log = function() end,
  replicate_commands = function() return true end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
}

local globals = {redis = redis, _G = false, KEYS = false, ARGV = false}
for _, name in ipairs {
  'assert', 'error', 'getmetatable', 'ipairs', 'math', 'next', 'pairs', 'pcall', 'rawequal', 'rawget', 'rawset', 'select', 'setmetatable',
  'string', 'table', 'tonumber', 'tostring', 'type', 'unpack', 'xpcall', '_VERSION',
} do globals[name] = _G[name] end
-- Redis' own `pcall` gives the text of an error that is a table.
local function caught(fine, failure, ...)
  if not fine and type(failure) == 'table' and failure.err then return fine, failure.err end
  return fine, failure, ...
end
globals.pcall = function(...) return caught(pcall(...)) end
globals._G = globals
setmetatable(globals, {
  __index = function(_, name) error('Script attempted to access nonexistent global variable \'' .. tostring(name) .. '\'', 2) end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})

local function compile(source)
  local run, failure = loadstring(source, '@user_script')
  return run and setfenv(run, globals) or failure
end

-- The line of the script where it failed; a call in tail position has none.
local function located(failure)
  if type(failure) ~= 'table' then failure = {err = 'ERR ' .. tostring(failure)} end
  local level = 2
  while true do
    local frame = getinfo(level, 'Sl')
    if not frame then break end
    if frame.source == '@user_script' then
      failure.line = frame.currentline
      break
    end
    level = level + 1
  end
  return failure
end

-- A table as a list of Python's, up to its first nil.
local function array(value)
  local items, count = {}, 0
  while true do
    local item = value[count + 1]
    if item == nil then break end
    count = count + 1
    if type(item) == 'table' then
      item = item.ok and status_of(item.ok) or item.err and error_of(item.err) or array(item)
    end
    items[count] = item
  end
  local list = list_of()
  for first = 1, count, MOST do more(list, unpack(items, first, math.min(first + MOST - 1, count))) end
  return list
end

local function answer(fine, value)
  if not fine then return -1, value.err, value.line end
  if type(value) ~= 'table' then return 0, value end
  if value.err then return -2, value.err end
  if value.ok then return -3, value.ok end
  local count = 0
  while true do
    local item = value[count + 1]
    if item == nil then break end
    if type(item) == 'table' or count == MOST then return -4, array(value) end
    count = count + 1
  end
  if count == 0 then return -4, list_of() end
  return count, unpack(value, 1, count)
end

local function run(script, keys, ...)
  if keys == 1 then
    rawset(globals, 'KEYS', {(...)})
    rawset(globals, 'ARGV', {select(2, ...)})
  elseif keys == 2 then
    local first, second = ...
    rawset(globals, 'KEYS', {first, second})
    rawset(globals, 'ARGV', {select(3, ...)})
  else
    local all, arguments = {...}, {}
    for index = keys + 1, select('#', ...) do
      arguments[index - keys] = all[index]
      all[index] = nil
    end
    rawset(globals, 'KEYS', all)
    rawset(globals, 'ARGV', arguments)
  end
  return answer(xpcall(script, located))
end

return compile, run
