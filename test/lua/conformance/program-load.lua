-- load, environments and files of Lua text.

print("== load env")
do
print(load("return 1+1")())
print(load("x=5 return x","c","t",{})())
local e={y=7}
print(load("z=y return z","c","t",e)(),e.z,z)
print(load("return ...","c")(1,2))
print(load("return _ENV","c","t",5)())
print(pcall(load("return x","=c","t",5)))
print(pcall(load("return x","=c","t",nil)))
print(load("return 1","c","b"))
print(load("return 1","c","bt")())
print(load("return 1","c",""))
print(load("\27Lua","c","t"))
local i=0
print(load(function() i=i+1 return ({"return ","1","+2",nil})[i] end)()) i=0
print(load(function() i=i+1 return ({"return 5","",";+"})[i] end)())
print(pcall(load,function() return {} end))
print(load(function() return nil end)~=nil)
print(pcall(load,5))
print(pcall(load,nil))
print(pcall(load,{}))
print(load("error('in chunk')","=mychunk")~=nil,pcall(load("error('in chunk')","=mychunk")))
print(pcall(load("error('x')","@file.lua")))
print(pcall(load("error('x')","code string")))
print(pcall(load("error('x')")))
print(pcall(load("\n\nerror('x')")))
print(pcall(load("local a a.b=1","=q")))
print(load(5))
print(load("return 'a\0b'")()=="a\0b")
print(load("-- only comment")())
print(load("return return"))
end

print("== env tricks2")
do
local function f() local _ENV={print=print} x=5 print(x) end f()
print(x)
do local _ENV=setmetatable({},{__index=_G}) y=6 print(y,_G.y) end
print(y)
local function g(_ENV) return a end
print(g{a=9})
local env=setmetatable({},{__index=function(_,k) return k.."?" end})
print(load("return foo,bar","c","t",env)())
setmetatable(_G,{__index=function(_,k) error("undefined variable '"..k.."'",2) end,__newindex=function(t,k,v) error("assign to undefined '"..k.."'",2) end})
print(pcall(function() return undefinedvar end))
print(pcall(function() newvar=1 end))
setmetatable(_G,nil)
print(pcall(function() local _ENV=nil; x=1 end))
print(pcall(function() local _ENV=5; return x end))
print(pcall(function() local _ENV=setmetatable({},{__index=function(t,k) return k end}); return abc end))
for k in pairs({"_VERSION"}) do print(_VERSION) end
end

print("== loadfile cases")
do
local function w(s) local f=io.open("t.lua","wb") f:write(s) f:close() end
w("return 1,2,...")
print(loadfile("t.lua")(3))
w("x = = 2")
print(loadfile("t.lua"))
print(pcall(dofile,"t.lua"))
w("#!/usr/bin/lua\nerror('e')")
print(pcall(dofile,"t.lua"))
w("# comment\n\n\nx y")
print(loadfile("t.lua"))
w("")
print(loadfile("t.lua"))
print(loadfile("t.lua")())
w("return _ENV.a")
print(loadfile("t.lua","t",{a=7})())
print(loadfile("t.lua","b"))
print(loadfile("t.lua","bt")())
print(loadfile("t.lua","x"))
w("return ...")
print(dofile("t.lua"))
print(loadfile("t.lua",nil,nil)("v"))
print(loadfile("t.lua","t",nil))
w("return x")
print(pcall(loadfile("t.lua","t",nil)))
w("\xef\xbb\xbfreturn 5")
print(dofile("t.lua"))
w("\xef\xbb\xbf#x\nreturn 6")
print(dofile("t.lua"))
w("#")
print(loadfile("t.lua")())
w("#!x")
print(dofile("t.lua"))
end

print("== messages files")
do
package.path="./?.lua"
package.cpath=""
print(loadfile("/absent"))
print(loadfile("/absent","b"))
print(pcall(dofile,"/absent"))
print(io.open("/absent/x"))
print(io.open("/absent/x","w"))
print(io.open("/","w"))
print(pcall(io.lines,"/absent"))
print(pcall(io.input,"/absent"))
print(pcall(io.output,"/absent/x"))
print(os.rename("/absent1","/absent2"))
print(os.remove("/absent"))
print(os.remove("/"))
print(os.remove(""))
print(io.open(""))
print(pcall(io.open,"x","rw"))
print(pcall(io.open,"x",""))
print(loadfile("/"))
print(pcall(dofile,"/"))
print(pcall(require,"absent.mod"))
end

print("== require cases")
do
local function w(n,s) local f=io.open(n,"wb") f:write(s) f:close() end
package.path="./?.lua;./?/init.lua"
package.cpath=""
w("m1.lua","return {name=...,file=select(2,...)}")
print(require("m1").name,require("m1").file)
w("m2.lua","x = = 1")
print(pcall(require,"m2"))
w("m3.lua","error('boom')")
print(pcall(require,"m3"))
print(package.loaded.m3)
w("m4.lua","error({})")
print(pcall(require,"m4"))
w("m5.lua","return false")
print(require("m5"),package.loaded.m5)
w("m6.lua","")
print(require("m6"),package.loaded.m6)
w("m7.lua","package.loaded[...]='set'")
print(require("m7"))
print(pcall(require,"absent"))
print(pcall(require,"a.b"))
package.preload.zz=function(...) return select('#',...),... end
print(require("zz"))
package.path=nil
print(pcall(require,"q"))
package.path="./?.lua"
package.searchers[#package.searchers+1]=function(n) return "\n\tcustom says no to "..n end
print(pcall(require,"nn"))
package.searchers[#package.searchers]=function(n) if n=="vv" then return function(...) print(...) return "V" end,"extra" end end
print(require("vv"))
local searchers=package.searchers
package.searchers={}
print(pcall(require,"x"))
package.searchers=nil
print(pcall(require,"x2"))
package.searchers=searchers
end

print("== package fields")
do
print(package.config)
print(package.searchpath("a.b","./?.x;/y/?.z"))
print(package.searchpath("a.b","./?.x",""))
print(package.searchpath("a-b","./?.x","-","+"))
print(pcall(package.searchpath,"x"))
print(type(package.preload),type(package.loaded),type(package.searchers))
for _,n in ipairs{"string","table","math","io","os","coroutine","utf8","debug","package","_G"} do print(n,package.loaded[n]==(n=="_G" and _G or _G[n])) end
end
