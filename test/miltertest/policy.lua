-- The policy that the scripts beside it are played against: addresses and names say what is answered.

local answers = {
  reject = { 550, "5.7.1 No such thing" },
  defer = { 451, "4.7.1 Not now" },
  close = { 421, "4.7.0 Go away" },
}

local function answer(text)
  for word, reply in pairs(answers) do
    if text:find(word, 1, true) then
      return reply[1], reply[2]
    end
  end
end

local seen = {}

function smtp.do_connect(ip, ptr)
  return answer(ptr)
end

function smtp.do_helo(name)
  return answer(name)
end

function smtp.do_mail(sender)
  seen = {}
  if not sender:find("^data%-") then
    return answer(sender)
  end
end

function smtp.do_rcpt(recipient)
  local code, text = answer(recipient)
  if code then
    return code, text
  end
  seen[#seen + 1] = recipient
end

function smtp.do_data()
  if smtp.tran.sender:find("^data%-") then
    return answer(smtp.tran.sender)
  end
end

function smtp.do_headers(headers)
  for _, line in ipairs(headers) do
    local value = line:match("^X%-Answer:%s*(.*)")
    if value then
      return answer(value)
    end
  end
end

function smtp.do_chunk(chunk)
  return answer(chunk)
end

-- Says what has been kept of this message: nothing of another one may be there.
function smtp.do_dot(path)
  local lines = 0
  for _ in io.lines(path) do
    lines = lines + 1
  end
  return 550, string.format("5.0.0 to %s id %s lines %d", table.concat(seen, ","), tostring(smtp.tran.queue_id), lines)
end

function smtp.do_unknown(line)
  return answer(line)
end

function smtp.rset()
  seen = {}
end
