-- package and require.
local name = os.tmpname() local folder, base = name:match("^(.*)/(.-)$") package.path = folder .. "/?"
local function clean(s) return (tostring(s):gsub(folder .. "/", "DIR/"):gsub(base, "MODULE"):gsub("0x%x+", "PTR")) end
local function source(text) local f = io.open(name, "w") f:write(text) f:close() package.loaded[base] = nil end
package.cpath = "" 
source("local a, b = ... loads = (loads or 0) + 1 return {name = a, file = b}") local m = require(base) print(clean(m.name), clean(m.file), require(base) == m, loads) print(package.loaded[base] == m)
source("return nil") print(require(base), package.loaded[base]) source("package.loaded[...] = 'own'") print(require(base)) source("return false") print(require(base)) source("error('in module')") print(clean(select(2, pcall(require, base)))) source("x = = 1") print(clean(select(2, pcall(require, base))))
source("#! first line\nreturn 'hash'") print(require(base)) source("\xEF\xBB\xBFreturn 'bom'") print(require(base))
package.preload.pre = function(...) return {...} end print(require("pre")[1], #require("pre")) print(clean(select(2, pcall(require, "no.such"))))
package.path = "./?.lua;/q/?/init.lua" print(select(2, pcall(require, "no.such"))) print(package.searchpath("nope.x", "./?.lua;/q/?.lua")) print(package.searchpath("a-b", "./?.x;", "-", "+")) print(clean(package.searchpath(base, folder .. "/?"))) print(package.searchpath("x", ""))
package.path = 5 print(clean(select(2, pcall(require, "zzz")))) package.path = nil print(select(2, pcall(require, "zzz"))) package.path = "" print(package.config) print(pcall(package.searchpath, "x")) print(pcall(require)) local s = package.searchers package.searchers = nil print(pcall(require, "zzz")) package.searchers = s
package.searchers = {function(n) return "\n\tmine: " .. n end, function() return nil end, function(n) if n == "found" then return function(a, b) return a .. tostring(b) end, "extra" end end} print(pcall(require, "other")) print(require("found"))
print(type(package.loaded), package.loaded._G == _G, package.loaded.string == string, type(package.preload), type(package.loadlib)) os.remove(name)
