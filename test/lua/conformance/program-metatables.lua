-- Metamethods of all kinds.

print("== metatable arithmetic")
do
local log={}
local mt={}
for _,e in ipairs{"add","sub","mul","div","mod","pow","idiv","band","bor","bxor","shl","shr","concat"} do mt["__"..e]=function(a,b) return e..":"..(type(a)=="table" and "T" or tostring(a)).."/"..(type(b)=="table" and "T" or tostring(b)) end end mt.__unm=function(a,b) return "unm"..tostring(rawequal(a,b)) end mt.__bnot=function(a,b) return "bnot"..tostring(rawequal(a,b)) end mt.__len=function(a,...) return "len"..select("#",...) end
local t=setmetatable({},mt)
print(t+1,1+t,t-1,t*2,t/2,t%2,t^2,t//2,t&1,1|t,t~1,t<<1,1>>t,t.."x","x"..t,1 ..t,t..t,-t,~t,#t)
print("a".."b"..t,t.."a".."b")
print(t+"x",t+nil,nil+t,{}+t)
print(1.5&t, t|"a")
end

print("== metatable compare")
do
local mt={__eq=function(a,b) return a.v==b.v end,__lt=function(a,b) return a.v<b.v end,__le=function(a,b) return a.v<=b.v end}
local function n(v) return setmetatable({v=v},mt) end
local a,b,c=n(1),n(2),n(1)
print(a==b,a==c,a~=c,a<b,a>b,a<=c,a>=b,rawequal(a,c),a==1)
local m2={__lt=function() return nil end,__le=function() return 5 end,__eq=function() return 1 end}
local x,y=setmetatable({},m2),setmetatable({},m2)
print(x<y,x<=y,x==y,x~=y)
local m3={__lt=function(a,b) return a.v<b.v end}
local p,q=setmetatable({v=1},m3),setmetatable({v=2},m3)
print(p<=q,q<=p,p>=q)
print(pcall(function() return setmetatable({},{})<setmetatable({},{}) end))
print(pcall(function() return p<5 end))
print(pcall(function() return {}<5 end))
local m4={__eq=function() error("eq called") end}
print(setmetatable({},m4)==5, pcall(function() return setmetatable({},m4)==setmetatable({},m4) end))
local e1=setmetatable({},{__eq=function() return true end})
local e2=setmetatable({},{__eq=function() return false end})
print(e1==e2,e2==e1)
local m5={__lt=function(a,b) return "yes" end}
print(setmetatable({},m5)<1,1<setmetatable({},m5),"a"<setmetatable({},m5))
end

print("== metatable index chains")
do
local A={x="A.x"}
local B=setmetatable({y="B.y"},{__index=A})
local C=setmetatable({},{__index=B})
print(C.x,C.y,C.z,rawget(C,"x"))
local D=setmetatable({},{__index=function(t,k) return k.."!" end})
print(D.foo,D[1])
local E=setmetatable({},{__newindex=function(t,k,v) rawset(t,k,v.."*") end}) E.a="v" E.a="w"
print(E.a)
local store={}
local F=setmetatable({},{__newindex=store}) F.q=1
print(rawget(F,"q"),store.q)
local G=setmetatable({},{__index=setmetatable({},{__index=function(t,k) return "deep "..k end})})
print(G.k)
print(pcall(function() local t=setmetatable({},{__index=5}) return t.x end))
print(pcall(function() local t=setmetatable({},{__newindex=5}) t.x=1 end))
local loop={}
setmetatable(loop,{__index=loop})
print(pcall(function() return loop.x end))
local a,b={},{}
setmetatable(a,{__index=b})
setmetatable(b,{__index=a})
print(pcall(function() return a.x end))
setmetatable(a,{__newindex=b})
setmetatable(b,{__newindex=a})
print(pcall(function() a.x=1 end))
print(setmetatable({},{__index="abc"}).len)
print(pcall(function() return setmetatable({},{__index=true}).x end))
end

print("== metatable call tostring len pairs")
do
local t=setmetatable({},{__call=function(self,...) return select("#",...),... end})
print(t(1,nil,3))
print(pcall(t,1))
local c2=setmetatable({},{__call=t})
print(pcall(c2,1))
print(pcall(setmetatable({},{__call=5})))
print(tostring(setmetatable({},{__tostring=function() return "S" end})))
print(pcall(tostring,setmetatable({},{__tostring=function() return 1 end})))
print(pcall(tostring,setmetatable({},{__tostring=function() return {} end})))
print(pcall(tostring,setmetatable({},{__tostring=5})))
print((tostring(setmetatable({},{__name="N"})):gsub("0x%x+","P")))
print((tostring(setmetatable({},{__name=5})):gsub("0x%x+","P")))
for k,v in pairs(setmetatable({},{__pairs=function(t) return function(_,k) k=(k or 0)+1 if k<3 then return k,k*2 end end,t,nil end})) do io.write(k,"=",v," ") end
print()
for i,v in ipairs(setmetatable({},{__index=function(t,i) if i<4 then return i*i end end})) do io.write(i,"=",v," ") end
print()
print(pcall(pairs,setmetatable({},{__pairs=5})))
print(pairs(setmetatable({},{__pairs=function() return 1,2,3,4 end})))
print(getmetatable(setmetatable({},{__metatable="locked"})),pcall(setmetatable,setmetatable({},{__metatable=false}),{}))
print(getmetatable(setmetatable({},{__metatable=false})))
print(pcall(setmetatable,{},5))
print(pcall(setmetatable,{}))
print(pcall(setmetatable,5,{}))
print(setmetatable({},nil)~=nil,getmetatable({}),getmetatable(5))
print(#setmetatable({1,2},{__len=function() return 42 end}),rawlen({1,2}),rawlen("abc"))
end

print("== table with metamethods")
do
local log={}
local function proxy(t) return setmetatable({},{__index=function(_,k) log[#log+1]="r"..tostring(k) return t[k] end,__newindex=function(_,k,v) log[#log+1]="w"..tostring(k) t[k]=v end,__len=function() return #t end}) end
local base={3,1,2}
local p=proxy(base)
table.insert(p,4)
table.insert(p,1,0)
print(table.concat(base,","),table.concat(log," ")) log={}
print(table.remove(p,1),table.concat(log," ")) log={}
table.sort(p)
print(table.concat(base,","))
print(table.concat(p,"-"),table.unpack(p))
print(#p)
print(pcall(table.insert,setmetatable({},{__len=function() return "x" end}),1))
print(pcall(table.insert,setmetatable({},{__len=function() return 1.5 end}),1))
print(pcall(table.unpack,setmetatable({},{__len=function() return {} end})))
print(table.unpack(setmetatable({},{__len=function() return 2 end,__index=function(_,i) return i*i end})))
print(pcall(table.concat,setmetatable({},{__len=function() return 3 end,__index=function(_,i) if i<3 then return i end end})))
print(pcall(function() return #setmetatable({},{__len=function() return "str" end}) end))
end

print("== method definitions")
do
local A={} A.__index=A
function A.new(x) return setmetatable({x=x},A) end
function A:get() return self.x end
function A.static(a) return a end
local B=setmetatable({},{__index=A}) B.__index=B
function B.new(x,y) local o=A.new(x) o.y=y return setmetatable(o,B) end
function B:get() return A.get(self)*2+self.y end
function B:__tostring() return "B("..self.x..")" end B.__tostring=B.__tostring
print(A.new(3):get(),B.new(3,1):get(),tostring(B.new(4,1)),A.static(9))
local obj={a={b={}}}
function obj.a.b.f(x) return x end
function obj.a.b:g(x) return self==obj.a.b,x end
print(obj.a.b.f(1),obj.a.b:g(2))
print(pcall(function() return A.get() end))
print(pcall(function() return A.new(1):nope() end))
print(pcall(function() local o=A.new() return o:get():x() end))
end

print("== logic")
do
print(nil and 1,false and 1,1 and 2,nil or 1,false or nil,1 or error(),not nil,not 0,not "",nil==false,1==1.0,"1"==1,0==-0,1 and nil or 2,false==nil)
print(1<2 and 2<3,1<2==true,not 1==2,not (1==2),"a" and "b" or "c",nil and nil or "d")
local t={}
print(t.x and t.x.y,t.x or "default",(t.x or {}).y)
end

print("== while repeat")
do
local i=0
while true do i=i+1 if i>3 then break end end
print(i)
repeat local j=i i=i-1 until j<2
print(i)
local n=0
for _ in pairs{1,2,3,x=1} do n=n+1 end
print(n)
repeat local done=true until done
while false do end
print(i)
for i=1,0 do print("never") end
do local i=5 while i>0 do i=i-2 end print(i) end
end

print("== multiple assignment")
do
local a,b,c=1
print(a,b,c) a,b=b,a
print(a,b)
local t={1,2}
local i=1 i,t[i]=2,"x"
print(i,t[1],t[2])
local x,y=1,2,3
print(x,y)
do local a={} a.x,a.y=1 print(a.x,a.y) end
local function f() return 1,2,3 end
local p,q,r,s=f()
print(p,q,r,s)
p,q,r,s=0,f()
print(p,q,r,s)
p,q,r,s=f(),10
print(p,q,r,s)
local t={} t.a,t.b,t.c=f()
print(t.a,t.b,t.c)
end
