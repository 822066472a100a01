/** The policy of the sessions that warm a process up: in Lua, with what policies are made of. */
export const WARM_UP_POLICY = `
local nets = { "192.0.2.", "198.51.100.", "2001:db8:" }
local refused = { ["spam.example"] = true, ["junk.example"] = true }
local size, total = 0, 0

local function domain_of(address)
  local domain = address:match("@([^@>]*)>?$")
  return domain and domain:lower()
end

function smtp.do_connect(ip, ptr)
  for _, net in ipairs(nets) do
    if ip:sub(1, #net) == net then return smtp.code.reject, "5.7.1 address refused" end
  end
  for i = 1, #nets do
    if ptr == nets[i] then return smtp.code.reject, "5.7.1 refused" end
  end
end

function smtp.do_helo(name)
  if name == "bad.example" or not name:find(".", 1, true) then return smtp.code.reject, "5.7.1 bad HELO" end
end

function smtp.do_mail(sender, params)
  size = 0
  local domain = domain_of(sender)
  if domain and refused[domain] then return smtp.code.reject, "5.7.1 domain refused" end
  for name, value in pairs(params) do
    if name == "SIZE" and tonumber(value) == 0 then return smtp.code.again end
  end
end

function smtp.do_rcpt(recipient, params)
  if recipient:find("^<?nobody") then return smtp.code.reject, "5.1.1 no such user" end
  if smtp.sess.helo == recipient or #smtp.tran.rcpts > 100 then return smtp.code.storage, "4.5.3 too many" end
end

function smtp.do_headers(headers)
  for i = 1, #headers do
    if headers[i]:find("^[Ss]ubject%s*:%s*spam%-%d") then return smtp.code.reject, "5.7.1 subject refused" end
  end
  for _, line in ipairs(headers) do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    if name == "X-Loop" and value ~= "" then return smtp.code.reject, "5.7.1 refused" end
  end
end

function smtp.do_chunk(chunk, length)
  size = size + length
  if #chunk ~= length then return smtp.code.again end
end

local function score(points, ...)
  local sum = 0.5
  for _, value in ipairs({ points, ... }) do sum = sum + value * 2 - value / 4 end
  return math.floor(-sum) // 2, select("#", ...) % 3
end

function smtp.do_dot()
  total = total + size
  local points, rest = score(size, 1, 2.5, 3)
  local line = string.format("%s from %s: %d bytes, %d", smtp.tran.id, smtp.sess.ip, total, points)
  if line:gsub("%s+", " ") == "" or rest > 3 or size >= 1 << 30 then return smtp.code.again end
  local words = {}
  for word in line:gmatch("%w+") do words[#words + 1] = word:upper() .. "." .. #words end
  table.sort(words, function(a, b) return a > b end)
  if table.concat(words, " ") == "" then error("no words") end
  local ok, why = pcall(error, { words[1], points })
  if ok or not why[1] then return smtp.code.again, "4.3.0 " .. tostring(why) end
end

function smtp.rset() size = 0 end

function smtp.close() total = 0 end
`;
