-- Functions of any number of arguments.
local function pack(...) return { n = select("#", ...), ... } end

local function first(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if value ~= nil and value ~= "" then return value end
  end
end

local function log(format, ...)
  local args = pack(...)
  for i = 1, args.n do
    if args[i] == nil then args[i] = "nil" end
  end
  syslog.info(string.format(format, table.unpack(args, 1, args.n)))
end

local function try(fn, ...)
  local results = pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  log("failed: %s", results[2])
end

function smtp.do_helo(helo)
  log("%s is called %s", smtp.sess.ip, first(smtp.sess.ptr, helo, "nothing"))
  local upper = try(string.upper, helo)
  if upper == "BAD" then return 550, "5.7.1 bad" end
end
