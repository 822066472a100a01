-- Words in the body, that may be cut anywhere between two chunks.
local WORDS = { "cheap pills", "free money", "act now" }
local tail, hits

function smtp.do_mail()
  tail, hits = "", 0
end

function smtp.do_chunk(chunk, size)
  local text = (tail .. chunk):lower()
  for _, word in ipairs(WORDS) do
    if text:find(word, 1, true) then hits = hits + 1 end
  end
  tail = chunk:sub(-20)
  if hits > 2 or size == 0 then return smtp.code.skip end
end

function smtp.do_dot()
  if hits > 2 then return 550, string.format("5.7.1 %d words of advertisements", hits) end
  if hits > 0 then header.add("X-Words", tostring(hits)) end
end
