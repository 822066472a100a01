-- Hashes with 32 bits, large numbers as floats.
local MASK = 0xFFFFFFFF
local FNV = 0x811C9DC5

local function hash(text)
  local h = FNV
  for i = 1, #text do
    h = (h ~ text:byte(i)) & MASK
    h = h * 16777619
  end
  return h & 0x7fffffff
end

local GIGABYTE = 1024.0 * 1024 * 1024

function smtp.do_mail(sender, params)
  local bucket = hash(sender) % 10
  local size = tonumber(params.SIZE) or smtp.tran.size or 0
  if size > 4 * GIGABYTE then return 552, "5.3.4 too large" end
  syslog.info(string.format("bucket %d of %08x, %.0f bytes", bucket, hash(sender), size))
  if (1 << bucket) & 0x3f == 0 then syslog.debug("others") end
end
