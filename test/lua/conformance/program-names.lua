-- How error messages call functions, variables and arguments.

print("== names pcall direct")
do
print(pcall(string.rep))
print(pcall(string.rep,"x"))
print(pcall(("x").rep,"x",{}))
print(pcall(table.insert,{},1,2,3))
print(pcall(table.concat,{{}}))
print(pcall(math.floor,"x"))
print(pcall(setmetatable,1))
print(pcall(ipairs))
print(pcall(tonumber,{},10))
print(pcall(string.char,-1))
print(pcall(string.format,"%d","x"))
print(pcall(io.open))
print(pcall(os.time,1))
print(pcall(coroutine.resume,1))
print(pcall(utf8.char,-1))
print(pcall(select,0))
print(pcall(rawset,1))
print(pcall(next,{},"zz"))
print(pcall(debug.getinfo,"x"))
print(pcall(require))
print(pcall(load))
print(pcall(error))
print(pcall(type))
print(pcall(tostring))
print(pcall(rawlen,5))
print(pcall(rawequal,1))
print(pcall(rawget,1))
print(pcall(getmetatable))
print(pcall(assert))
print(pcall(collectgarbage,"bogus"))
print(pcall(dofile,1,2))
print(pcall(xpcall))
end

print("== names methods")
do
local s="x"
print(pcall(function() return s:rep() end))
print(pcall(function() return s:rep({}) end))
print(pcall(function() return s.rep() end))
print(pcall(function() return ("x"):format({}) end))
print(pcall(function() return ("%d"):format("z") end))
print(pcall(function() local r=string.rep return r() end))
print(pcall(function() return string.rep() end))
local up=string.rep
print(pcall(function() return up() end))
print(pcall(function() local t={f=string.rep} return t.f() end))
print(pcall(function() local t={f=string.rep} return t:f() end))
print(pcall(function() return (string.rep)() end))
print(pcall(function() local t={string.rep} return t[1]() end))
print(pcall(function() return ({string.rep})[1]() end))
end

print("== names tail calls")
do
local function f() return string.rep() end
print(pcall(f))
local function g() return math.max() end
print(pcall(g))
local function h() return ("x"):bad() end
print(pcall(h))
end

print("== names by metamethods")
do
local t=setmetatable({},{__index=string.rep})
print(pcall(function() return t.x end))
local u=setmetatable({},{__add=string.rep})
print(pcall(function() return u+1 end))
local v=setmetatable({},{__call=string.rep})
print(pcall(function() return v() end))
print(pcall(v))
local w=setmetatable({},{__concat=table.concat})
print(pcall(function() return w..1 end))
local w=setmetatable({},{__len=math.floor})
print(pcall(function() return #w end))
local w=setmetatable({},{__unm=math.floor})
print(pcall(function() return -w end))
local w=setmetatable({},{__lt=math.floor})
print(pcall(function() return w<w end))
local w=setmetatable({},{__eq=math.floor})
print(pcall(function() return w==setmetatable({},getmetatable(w)) end))
local w=setmetatable({},{__newindex=math.floor})
print(pcall(function() w.x=1 end))
end

print("== names in callbacks")
do
print(pcall(string.gsub,"abc",".",string.rep))
print(pcall(table.sort,{1,2,3},string.rep))
print(pcall(function() for a in math.floor do end end))
print(pcall(function() for a in string.gmatch("a") do end end))
print(pcall(function() for k in pairs(nil) do end end))
print(pcall(function() for k in ipairs() do end end))
print(pcall(function() for l in io.lines("/absent/x") do end end))
end

print("== names coroutines")
do
local co=coroutine.wrap(string.rep)
print(pcall(co))
print(coroutine.resume(coroutine.create(string.rep)))
print(coroutine.resume(coroutine.create(function() string.rep() end)))
print(pcall(coroutine.wrap(function() local s="x" s:rep() end)))
end

print("== names luaL_error")
do
print(pcall(table.insert,{1},5,2))
print(pcall(table.insert,{1}))
print(pcall(function() table.insert({1}) end))
print(pcall(string.rep,"x",1e10,"y"))
print(pcall(setmetatable,setmetatable({},{__metatable=1}),{}))
print(pcall(string.gsub,"x","(",""))
print(pcall(string.gsub,"x","x","%5"))
print(pcall(function() return ("x"):gsub("x","%5") end))
print(pcall(string.format,"%y"))
print(pcall(function() return ("%y"):format(1) end))
end

print("== names args of self")
do
print(pcall(function() local f=io.tmpfile() f:seek("bad") end))
print(pcall(function() local f=io.tmpfile() f.seek() end))
print(pcall(function() local f=io.tmpfile() f:read("x") end))
print(pcall(function() local f=io.tmpfile() f:write({}) end))
print(pcall(function() local f=io.tmpfile() f:setvbuf() end))
print(pcall(io.write,{}))
print(pcall(function() io.write({}) end))
print(pcall(io.stdout.write,io.stdout,{}))
print(pcall(io.stdout.write))
print(pcall(io.stdout.write,1))
print(pcall(io.read,"x"))
print(pcall(io.type))
print(pcall(io.lines,1,"x"))
end

print("== varnames")
do
local t={}
local function try(f,...) print((select(2,pcall(f,...)))) end
local up up=nil
try(function() return t.x.y end)
try(function() return t.x.y.z end)
try(function() return up.x end)
try(function() up() end)
try(function() up.x=1 end)
try(function() t.a.b.c=1 end)
try(function() local a a() end)
try(function() local a a.x() end)
try(function() local a={} a.b.c() end)
try(function() local a={} a.b() end)
try(function() local a={} a:b() end)
try(function() local a="x" a:nope() end)
try(function() gvar() end)
try(function() gvar.x() end)
try(function() gvar.x.y=1 end)
try(function() return gvar+1 end)
try(function() return 1+gvar end)
try(function() return up+1 end)
try(function() return t.q+1 end)
try(function() return t[1]+1 end)
try(function() return t[1].x end)
try(function() local i=1 return t[i].x end)
try(function() local k="kk" return t[k].x end)
try(function() return t["a b"].x end)
try(function() return (1)() end)
try(function() return ("x")() end)
try(function() return ({})() end)
try(function() return (nil)() end)
end

print("== varnames2")
do
local t={}
local function try(f,...) print((select(2,pcall(f,...)))) end
try(function(a) return a.x end)
try(function(a) return a.x end,5)
try(function(a) return a.x.y end,"s")
try(function(...) local a=... return a.b end)
try(function(...) return (...).b end)
try(function() for i=1,2 do local z z.q=1 end end)
try(function() return #t.x end)
try(function() return -t.x end)
try(function() return ~t.x end)
try(function() return ~1.5 end)
try(function() return 1|"a" end)
try(function() return 1|"1.5" end)
try(function() return "a"|1 end)
try(function() return {}|1 end)
try(function() return 1<<{} end)
try(function() local s="abc" return s+1 end)
try(function() local s="abc" return -s end)
try(function() return "abc"*2 end)
try(function() local s={} return s.."x" end)
try(function() local s={} return "x"..s end)
try(function() local s return 1 ..s end)
try(function() return t.x.."a" end)
try(function() return "a"..t.x.."b" end)
try(function() return gg.."b" end)
try(function() return print.."b" end)
try(function() return true.."b" end)
try(function() return "a"..true end)
try(function() local a,b=1,nil return a<b end)
try(function() return {}<1 end)
try(function() return "a"<1 end)
try(function() return nil<nil end)
try(function() return true<false end)
try(function() return {}<={} end)
try(function() return print<print end)
try(function() return 1>=nil end)
try(function() return "1">2 end)
end

print("== call errors in expressions")
do
local function try(f,...) print((select(2,pcall(f,...)))) end
local obj={inner={}}
try(function() obj.inner.method() end)
try(function() obj.inner:method() end)
try(function() obj:inner() end)
try(function() obj.inner.a.b.c() end)
try(function() local x=obj.inner.method() end)
try(function() return obj.inner.method() end)
try(function() string.foo() end)
try(function() ("x").foo() end)
try(function() math.pi() end)
try(function() local f=obj.nope f() end)
try(function() obj["no-such"]() end)
try(function() obj[1]() end)
try(function() obj[obj]() end)
try(function() _G.nothing() end)
try(function() _ENV.nothing() end)
try(function() local _ENV={} nothing() end)
try(function() local _ENV=nil nothing() end)
try(function() local _ENV={} nothing.x() end)
try(function() setmetatable({},{__index=function(t,k) return t.x.y end}).q() end)
end

print("== for errors")
do
local function try(f,...) print((select(2,pcall(f,...)))) end
try(function() for i="a",2 do end end)
try(function() for i=1,"x" do end end)
try(function() for i=1,2,{} do end end)
try(function() for i=1,2,0 do end end)
try(function() for i=1.0,2,0 do end end)
try(function() for i=nil,2 do end end)
try(function() for i=1,nil do end end)
try(function() for k in nil do end end)
try(function() for k in 5 do end end)
try(function() for k in {} do end end)
try(function() for k in pairs() do end end)
try(function() for k in ipairs(nil) do end end)
try(function() local x for k in x do end end)
try(function() for k in gundef do end end)
try(function() for k in t.x do end end)
for i="1",2 do print(i) end
end

print("== __name in messages")
do
local T=setmetatable({},{__name="MyType"})
print(pcall(function() return T+1 end))
print(pcall(function() return T..1 end))
print(pcall(function() return T<1 end))
print(pcall(function() return T<T end))
print(pcall(function() return T() end))
print(pcall(string.rep,T))
print(pcall(math.floor,T))
print(pcall(ipairs))
print(pcall(function() return #io.stdout end))
print(pcall(function() return io.stdout.x.y end))
print(pcall(function() io.stdout() end))
print(pcall(function() return io.stdout+1 end))
print(pcall(string.rep,io.stdout))
print(pcall(io.close,T))
print(pcall(io.stdout.write,T))
print(pcall(setmetatable,io.stdout,{}))
print(pcall(table.insert,io.stdout,1))
print(pcall(next,io.stdout))
print(pcall(function() io.stdout.x=1 end))
end

print("== closures")
do
local fs={}
for i=1,3 do fs[i]=function() i=i+1 return i end end
print(fs[1](),fs[1](),fs[2]())
local function counter() local n=0 return {inc=function() n=n+1 return n end,get=function() return n end} end
local a,b=counter(),counter() a.inc() a.inc() b.inc()
print(a.get(),b.get())
local acc={}
for k,v in pairs({a=1}) do acc[#acc+1]=function() return k,v end end
print(acc[1]())
local i=1
local ws={}
while i<=3 do local j=i ws[i]=function() j=j+10 return j end i=i+1 end
print(ws[1](),ws[2](),ws[1]())
local function fib(n) if n<2 then return n end return fib(n-1)+fib(n-2) end
print(fib(15))
local x=1
local function setx(v) x=v end setx(5)
print(x)
do local x=2 setx(7) print(x) end
print(x)
local rec rec=function(n) return n==0 and 0 or n+rec(n-1) end
print(rec(100))
local function outer() local u=0 local function mid() local function inner() u=u+1 return u end return inner end return mid() end
local q=outer() q()
print(q())
print((function(...) local a=... return function() return a end end)(9)())
end
