-- Errors, their levels and values, and tracebacks.

print("== errors")
do
print(pcall(error))
print(pcall(error,nil))
print(pcall(error,"m"))
print(pcall(error,"m",0))
print(pcall(error,"m",1))
print(pcall(error,"m",2))
print(pcall(error,"m",3))
print(pcall(function() error("m") end))
print(pcall(function() error("m",0) end))
print(pcall(function() error("m",2) end))
print(pcall(function() error("m",3) end))
print(pcall(function() error({1}) end))
print(pcall(function() error(5) end))
print(pcall(function() error(5.5,2) end))
print(pcall(function() error(true) end))
print(pcall(function() error(nil) end))
print(pcall(function() error("a\nb") end))
print(pcall(error,setmetatable({},{__tostring=function() return "E" end})))
local function lvl() error("at caller",2) end
print(pcall(function() lvl() end))
print(pcall(error,"x","y"))
print(pcall(error,"x",1.5))
print(select("#",pcall(error)))
print(pcall(pcall))
print(pcall(pcall,error,"e"))
print(pcall(xpcall))
print(pcall(xpcall,print))
print(pcall(xpcall,print,5))
print(xpcall(error,function(m) return "H:"..tostring(m) end,"arg"))
print(xpcall(function(...) return select("#",...),... end,print,1,nil))
print(xpcall(function() error("x") end,function(m) error("in handler") end))
print(xpcall(function() error("x") end,function(m) return 1,2,3 end))
print(xpcall(function() error() end,function(m) return m end))
print(pcall(nil))
print(pcall(5))
print(pcall({}))
print(xpcall(nil,function(m) return "H "..m end))
print(pcall(function() local ok,e=pcall(error,"inner") error(e.."+outer",0) end))
end

print("== assert")
do
print(assert(1,2,3))
print(pcall(assert,false))
print(pcall(assert,nil))
print(pcall(assert,nil,"msg"))
print(pcall(assert,false,{})~=nil)
print(pcall(assert,false,nil))
print(pcall(assert,false,5))
print(pcall(assert))
print(select("#",assert(1,nil,nil)))
print(pcall(function() assert(false,"m") end))
print(pcall(function() assert(io.open("/absent")) end))
print(pcall(function() assert(load("x=")) end))
print(pcall(function() assert(tonumber("x"),"not a number: ".."x") end))
print(pcall(function() assert(nil) end))
print(pcall(function() assert(1==2) end))
end

print("== nested pcall")
do
local function f(n) if n==0 then error("bottom",0) end local ok,e=pcall(f,n-1) error(e.."<"..n,0) end
print(pcall(f,5))
print(pcall(function() return pcall(function() return pcall(error,"z") end) end))
local ok,e=pcall(function() local t=setmetatable({},{__index=function(t,k) error("no field "..k,2) end}) return t.abc end)
print(ok,e)
local ok,e=pcall(function() local t=setmetatable({},{__newindex=function(t,k) error("readonly "..k,2) end}) t.x=1 end)
print(ok,e)
print(pcall(string.rep,"x",-1))
print(pcall(function() local function inner() error("deep",2) end local function mid() inner() end mid() end))
do local ok,e=pcall(function() for i=1,3 do if i==2 then error("at "..i) end end end) print(e) end
print(select(2,pcall(error,{code=2})).code)
print(pcall(function() return nil+1 end))
print(pcall(function() error(setmetatable({},{__tostring=function() return "custom" end})) end))
end

print("== coroutines basic")
do
local c=coroutine.create(function(a,b) print(a,b) local x=coroutine.yield(a+b) print(x) local y,z=coroutine.yield() print(y,z) return "done",1 end)
print(coroutine.resume(c,1,2))
print(coroutine.status(c))
print(coroutine.resume(c,"x"))
print(coroutine.resume(c,"y","z"))
print(coroutine.status(c))
print(coroutine.resume(c))
local w=coroutine.wrap(function(...) print(select("#",...)) for i=1,3 do print("y",coroutine.yield(i)) end return "end" end)
print(w(nil,nil))
print(w("a"))
print(w())
print(w())
print(pcall(w))
print(coroutine.isyieldable(),select(2,coroutine.running()))
print(coroutine.wrap(function() return coroutine.isyieldable(),select(2,coroutine.running()) end)())
print(pcall(coroutine.create))
print(pcall(coroutine.create,5))
print(pcall(coroutine.wrap,"x"))
print(pcall(coroutine.resume,5))
print(pcall(coroutine.status,nil))
print(pcall(coroutine.yield,1))
print(coroutine.close,coroutine.resume(coroutine.create(print),1,2))
end

print("== coroutine errors")
do
print(coroutine.resume(coroutine.create(function() error("e1") end)))
print(coroutine.resume(coroutine.create(function() error({}) end))~=nil)
print(coroutine.resume(coroutine.create(function() error() end)))
print(coroutine.resume(coroutine.create(function() local x=nil; x.y=1 end)))
local w=coroutine.wrap(function() error("in wrap") end)
print(pcall(w))
print(pcall(w))
w=coroutine.wrap(function() error({code=5}) end)
print(select(2,pcall(w)).code)
w=coroutine.wrap(function() error("lvl0",0) end)
print(pcall(w))
w=coroutine.wrap(function() error("lvl2",2) end)
print(pcall(w))
local co co=coroutine.create(function() return coroutine.resume(co) end)
print(coroutine.resume(co)) co=coroutine.wrap(function() return co() end)
print(pcall(co))
print(pcall(coroutine.wrap(function() coroutine.yield(1) end)))
local c=coroutine.create(function() coroutine.yield() end) coroutine.resume(c) coroutine.resume(c)
print(coroutine.resume(c))
print(coroutine.status(c))
local function deep() local function f(n) if n==0 then error("deep") end f(n-1) end f(3) end
print(coroutine.resume(coroutine.create(deep)))
end

print("== coroutine status")
do
local a a=coroutine.create(function() print(coroutine.status(a)) local b=coroutine.create(function() print(coroutine.status(a)) print(coroutine.resume(a)) coroutine.yield() end) coroutine.resume(b) print(coroutine.status(b)) end)
print(coroutine.status(a)) coroutine.resume(a)
print(coroutine.status(a))
print(coroutine.running()~=nil)
end

print("== coroutine yield across")
do
local co=coroutine.wrap(function() print(pcall(function() coroutine.yield(1) error("after") end)) print(xpcall(function() coroutine.yield(2) error("x") end,function(m) return "H "..m end)) local t=setmetatable({},{__index=function(t,k) return coroutine.yield(k) end,__add=function(a,b) return coroutine.yield("add") end,__lt=function() return coroutine.yield("lt") end,__eq=function() return coroutine.yield("eq") end,__concat=function() return coroutine.yield("cc") end,__len=function() return coroutine.yield("len") end,__call=function(_,x) return coroutine.yield("call"..x) end,__newindex=function(t,k,v) coroutine.yield("ni"..k) end,__unm=function() return coroutine.yield("unm") end,__le=function() return coroutine.yield("le") end}) print(t.foo) print(t+1) print(t<t) print(t<=t) print(t==setmetatable({},getmetatable(t))) print(t.."x") print(#t) print(t(5)) t.zz=1 print(-t) for i in function(_,c) return coroutine.yield("iter") end do print("it",i) break end return "fin" end)
local r=co()
local n=0
while r~="fin" do n=n+1 io.write("[",tostring(r),"] ") r=co("v"..n) end
print(r)
end

print("== coroutine generators")
do
local function gen(n) return coroutine.wrap(function() for i=1,n do coroutine.yield(i,i*i) end end) end
for i,s in gen(4) do io.write(i,":",s," ") end
print()
local function perm(a,n) n=n or #a if n<=1 then coroutine.yield(a) else for i=1,n do a[n],a[i]=a[i],a[n] perm(a,n-1) a[n],a[i]=a[i],a[n] end end end
for p in coroutine.wrap(function() perm{1,2,3} end) do io.write(table.concat(p)," ") end
print()
local prod=coroutine.create(function() for _,v in ipairs{"a","b"} do coroutine.yield(v) end return nil end)
while true do local ok,v=coroutine.resume(prod) if not v then break end io.write(v," ") end
print(coroutine.status(prod))
local function filter(p,g) return coroutine.wrap(function() for x in g do if p(x) then coroutine.yield(x) end end end) end
for x in filter(function(x) return x%2==0 end,gen(6)) do io.write(x," ") end
print()
local co=coroutine.create(function(...) return select("#",...) end)
print(coroutine.resume(co,nil,nil,nil))
print(select("#",coroutine.resume(coroutine.create(function() return nil,nil end))))
print(select("#",coroutine.resume(coroutine.create(function() coroutine.yield(nil,nil,nil) end))))
end

print("== traceback names")
do
function globalf() print((debug.traceback("g",1):gsub("\n\t%[C%]: in %?$",""))) end globalf()
local t={m=function() print((debug.traceback("m",1):gsub("\n\t%[C%]: in %?$",""))) end} t.m() t:m()
local function tail() return debug.traceback("t",1) end
local function tc() return tail() end
print((tc():gsub("\n\t%[C%]: in %?$","")))
local mt=setmetatable({},{__index=function(t,k) return (debug.traceback("i",1):gsub("\n\t%[C%]: in %?$","")) end,__add=function() return (debug.traceback("add",1):gsub("\n\t%[C%]: in %?$","")) end})
print(mt.x)
print(mt+1)
for x in function(_,c) if not c then return (debug.traceback("for",1):gsub("\n\t%[C%]: in %?$","")) end end do print(x) end
print((select(2,pcall(function() return debug.traceback("p",1) end)):gsub("\n\t%[C%]: in %?$","")))
print((load("return debug.traceback('l',1)","=chunk")():gsub("\n\t%[C%]: in %?$","")))
table.sort({1,2},function(a,b) print((debug.traceback("s",1):gsub("\n\t%[C%]: in %?$",""))) return a<b end)
print((("x"):gsub("x",function() return (debug.traceback("gs",1):gsub("\n\t%[C%]: in %?$","")) end)))
end

print("== error tracebacks")
do
-- lua calls its main chunk from C
local print=function(...) local t=table.pack(...) for i=1,t.n do t[i]=tostring(t[i]):gsub("\n\t%[C%]: in %?","") end print(table.unpack(t,1,t.n)) end
local function a() error("deep") end
local function b() a() end
local function c() b() end
print(xpcall(c,debug.traceback))
print(xpcall(c,function(m) return debug.traceback(m,2) end))
print(xpcall(c,function(m) return debug.traceback("T: "..m,1) end))
local co=coroutine.create(function() local x=1 c() end)
print(coroutine.resume(co))
print(debug.traceback(co))
print(debug.traceback(co,"msg"))
print(debug.traceback(co,"msg",1))
print(debug.traceback(co,nil))
print(debug.traceback("m",0):match("^m\nstack traceback:\n\t%[C%]: in function 'debug.traceback'")~=nil)
print(debug.traceback({})~=nil,debug.traceback(5),debug.traceback(nil)~="x",debug.traceback(true))
end

print("== xpcall load handler")
do
print(xpcall(function() return load("x = = 1") end,function(m) return "H:"..m end))
print(xpcall(function() return require("absent.x") end,function(m) return "H:"..m:match("[^\n]*") end))
print(xpcall(function() return pcall(error,"in") end,function(m) return "H:"..m end))
print(xpcall(function() local co=coroutine.wrap(function() error("c") end) co() end,function(m) return "H:"..m end))
print(xpcall(string.rep,function(m) return "H:"..m end))
end
