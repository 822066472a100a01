-- Programs as they are written.

print("== mail parse program")
do
local msg="From: \"Doe, J\" <j@x.org>\r\nSubject: a\r\n folded\r\nX-Empty:\r\n\r\nbody\r\n"
local h,b=msg:match("^(.-\r\n)\r\n(.*)$") h=h:gsub("\r\n[ \t]+"," ")
local hs={}
for n,v in h:gmatch("([^\r\n:]+):%s*(.-)\r\n") do hs[#hs+1]=n.."="..v end
print(table.concat(hs,"|"),#b)
print(h:match("<([^>]+)>"))
local ip="192.0.2.7"
local a,bb,c,d=ip:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
print(a,bb,c,d,a+0,d*1)
print(("%d.%d.%d.%d.zen.example"):format(d,c,bb,a))
print(("User@Example.ORG"):lower():match("^([^@]+)@(.+)$"))
local words={}
for w in ("the cat the dog"):gmatch("%a+") do words[w]=(words[w] or 0)+1 end
local ks={}
for k in pairs(words) do ks[#ks+1]=k end
table.sort(ks)
for _,k in ipairs(ks) do io.write(k,"=",words[k]," ") end
print()
print(os.date("!%a, %d %b %Y %H:%M:%S +0000",1700000000))
end

print("== serializer")
do
local function ser(v,ind) ind=ind or "" if type(v)=="table" then local ks={} for k in pairs(v) do ks[#ks+1]=k end table.sort(ks,function(a,b) if type(a)==type(b) then return a<b end return type(a)<type(b) end) local o={} for _,k in ipairs(ks) do o[#o+1]=ind.."  ["..(type(k)=="string" and ("%q"):format(k) or tostring(k)).."] = "..ser(v[k],ind.."  ") end return "{\n"..table.concat(o,",\n").."\n"..ind.."}" else return type(v)=="string" and ("%q"):format(v) or tostring(v) end end
print(ser{1,2,{a="x\n",b={true,false}},n=1.5,[10]="t"})
end

print("== queue stack class")
do
local Q={} Q.__index=Q
function Q.new() return setmetatable({first=1,last=0,items={}},Q) end
function Q:push(v) self.last=self.last+1 self.items[self.last]=v end
function Q:pop() if self.first>self.last then return nil,"empty" end local v=self.items[self.first] self.items[self.first]=nil self.first=self.first+1 return v end
local q=Q.new()
for i=1,5 do q:push(i*i) end
print(q:pop(),q:pop()) q:push("x")
for k,v in pairs(q.items) do io.write(k,"=",v," ") end
print()
while true do local v,e=q:pop() if v==nil then print(e) break end io.write(v," ") end
end

print("== memoize and curry")
do
local function memo(f) local c={} return function(n) local v=c[n] if v==nil then v=f(n) c[n]=v end return v end end
local fib fib=memo(function(n) return n<2 and n or fib(n-1)+fib(n-2) end)
print(fib(40))
local function curry(f,n) n=n or 2 local function h(args,k) return function(x) local a={table.unpack(args)} a[#a+1]=x if k==1 then return f(table.unpack(a)) end return h(a,k-1) end end return h({},n) end
print(curry(function(a,b,c) return a+b*c end,3)(1)(2)(3))
local function map(t,f) local r={} for i,v in ipairs(t) do r[i]=f(v) end return r end
print(table.concat(map({1,2,3},function(x) return x*x end),","))
local function compose(...) local fs={...} return function(x) for i=#fs,1,-1 do x=fs[i](x) end return x end end
print(compose(tostring,math.sqrt,function(x) return x+7 end)(9))
end

print("== primes matrix")
do
local N=60
local s={}
for i=2,N do s[i]=true end
for i=2,N do if s[i] then for j=i*i,N,i do s[j]=false end end end
local p={}
for i=2,N do if s[i] then p[#p+1]=i end end
print(table.concat(p," "))
local function mul(a,b) local r={} for i=1,#a do r[i]={} for j=1,#b[1] do local x=0 for k=1,#b do x=x+a[i][k]*b[k][j] end r[i][j]=x end end return r end
local m=mul({{1,2},{3,4}},{{5,6},{7,8}})
print(m[1][1],m[1][2],m[2][1],m[2][2])
print((function(a,b) while b~=0 do a,b=b,a%b end return a end)(48,36))
local function bin(n) local t={} while n>0 do t[#t+1]=n%2 n=n//2 end return table.concat(t):reverse() end
print(bin(37))
print(string.format("%08.3f|%+5d|%-6s|%6.2e",3.14159,42,"ab",12345.678))
local x=0
for i=1,10 do x=x+i/2 end
print(x,x//1,math.floor(x))
print(7//2,7/2,7%2,-7//2,-7%2,2^10,10//3*3+10%3)
end

print("== rot13 base64 hex")
do
local function rot(s) return (s:gsub("%a",function(c) local b=c:byte() local base=b<97 and 65 or 97 return string.char((b-base+13)%26+base) end)) end
print(rot("Hello, World!"),rot(rot("Hello")))
local b="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function enc(d) return ((d:gsub(".",function(x) local r,b="",x:byte() for i=8,1,-1 do r=r..(b%2^i-b%2^(i-1)>0 and "1" or "0") end return r end).."0000"):gsub("%d%d%d?%d?%d?%d?",function(x) if #x<6 then return "" end local c=0 for i=1,6 do c=c+(x:sub(i,i)=="1" and 2^(6-i) or 0) end return b:sub(c+1,c+1) end)..({"","==","="})[#d%3+1]) end
print(enc("hello"),enc("a"),enc("ab"),enc("abc"))
print((("hello"):gsub(".",function(c) return ("%02x"):format(c:byte()) end)))
print((("68656c6c6f"):gsub("%x%x",function(h) return string.char(tonumber(h,16)) end)))
local function enc2(d) local out={} for i=1,#d,3 do local a,b2,c=d:byte(i,i+2) local n=(a<<16)|((b2 or 0)<<8)|(c or 0) for j=18,0,-6 do local k=(n>>j)&63 out[#out+1]=b:sub(k+1,k+1) end end return table.concat(out) end
print(enc2("hello!"))
end

print("== crc and hash 32")
do
local function adler(s) local a,b=1,0 for i=1,#s do a=(a+s:byte(i))%65521 b=(b+a)%65521 end return a,b end
print(adler("Wikipedia"))
local h=5381
for c in ("hello"):gmatch(".") do h=(h*33+c:byte())%65536 end
print(h)
local x=123
for i=1,5 do x=(x*75)%65537 io.write(x," ") end
print()
end

print("== deep copy and equality")
do
local function copy(o,seen) seen=seen or {} if type(o)~="table" then return o end if seen[o] then return seen[o] end local r={} seen[o]=r for k,v in pairs(o) do r[copy(k,seen)]=copy(v,seen) end return setmetatable(r,getmetatable(o)) end
local a={1,2,{x=3}} a.self=a
local b=copy(a)
print(b~=a,b.self==b,b[3].x,b[3]~=a[3],#b)
local function eq(x,y) if type(x)~=type(y) then return false end if type(x)~="table" then return x==y end for k,v in pairs(x) do if not eq(v,y[k]) then return false end end for k in pairs(y) do if x[k]==nil then return false end end return true end
print(eq({1,{2}},{1,{2}}),eq({1,2},{1,3}),eq({a=1},{a=1,b=2}))
end

print("== rate limiter")
do
local R={} R.__index=R
function R.new(max,per) return setmetatable({max=max,per=per,log={}},R) end
function R:ok(now) local l=self.log local i=1 while i<=#l do if now-l[i]>=self.per then table.remove(l,i) else i=i+1 end end if #l>=self.max then return false,l[1]+self.per-now end l[#l+1]=now return true end
local r=R.new(2,10)
for _,t in ipairs{0,1,2,9.5,10,11,12.25,30} do print(t,r:ok(t)) end
end

print("== score rules")
do
local rules={{name="no_helo",score=2.5,test=function(m) return not m.helo end},{name="bulk",score=1,test=function(m) return #m.rcpts>3 end},{name="subject",score=0.75,test=function(m) return (m.subject or ""):find("%f[%a]free%f[%A]")~=nil end}}
local function score(m) local s,hits=0,{} for _,r in ipairs(rules) do local ok,res=pcall(r.test,m) if not ok then hits[#hits+1]=r.name.."!"..res:gsub("^.-:%d+: ","") elseif res then s=s+r.score hits[#hits+1]=r.name end end return s,table.concat(hits,",") end
print(score{rcpts={1,2,3,4},subject="get free stuff"})
print(score{helo="x",rcpts={},subject="freedom"})
print(score{helo="x"})
end

print("== address parsing")
do
local function parse(a) a=a:gsub("^%s+",""):gsub("%s+$","") local l,d=a:match("^<?([^@<>%s]+)@([%w%.%-]+)>?$") if not l then return nil,"bad address: "..a end return l:lower(),d:lower(),(l:match("%+(.*)$")) end
for _,a in ipairs{"<User+tag@Example.COM>","a@b","nobody","  x.y@z.org  ","<>","a b@c"} do print(a,parse(a)) end
end

print("== headers table")
do
local H=setmetatable({},{__call=function(cls,t) return setmetatable({list={},map={}},cls) end}) H.__index=function(h,k) return rawget(H,k) or (h.map[k:lower()] and h.map[k:lower()][1]) end H.__len=function(h) return #h.list end H.__pairs=function(h) local i=0 return function() i=i+1 local e=h.list[i] if e then return e[1],e[2] end end end
function H.add(h,n,v) h.list[#h.list+1]={n,v} local m=h.map[n:lower()] or {} m[#m+1]=v h.map[n:lower()]=m end
local h=H() h:add("From","a") h:add("Received","1") h:add("received","2")
print(#h,h.from,h.FROM,h.nope,#h.map.received)
for n,v in pairs(h) do io.write(n,"=",v,";") end
print()
end

print("== cidr")
do
local function ip2n(s) local a,b,c,d=s:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") if not a then return nil end return ((a*256.0+b)*256+c)*256+d end
local function inside(ip,cidr) local n,bits=cidr:match("^(.-)/(%d+)$") local size=2^(32-bits) return ip2n(ip)//size==ip2n(n)//size end
print(inside("10.1.2.3","10.0.0.0/8"),inside("11.1.2.3","10.0.0.0/8"),inside("192.168.1.130","192.168.1.128/25"),inside("192.168.1.127","192.168.1.128/25"),inside("1.2.3.4","0.0.0.0/0"))
print(ip2n("256.1.1"),ip2n("1.2.3.4")%256)
end

print("== json encoder")
do
local esc={['"']='\\"',["\\"]="\\\\",["\n"]="\\n",["\t"]="\\t"}
local function enc(v) local t=type(v) if t=="nil" then return "null" elseif t=="boolean" or t=="number" then return tostring(v) elseif t=="string" then return '"'..v:gsub('[%c"\\]',function(c) return esc[c] or ("\\u%04x"):format(c:byte()) end)..'"' elseif t=="table" then if #v>0 or next(v)==nil then local o={} for i,x in ipairs(v) do o[i]=enc(x) end return "["..table.concat(o,",").."]" end local ks,o={},{} for k in pairs(v) do ks[#ks+1]=tostring(k) end table.sort(ks) for i,k in ipairs(ks) do o[i]=enc(k)..":"..enc(v[k]) end return "{"..table.concat(o,",").."}" end error("cannot encode "..t) end
print(enc{a=1,b={1,2.5,"x\n\1"},c={},d={e=false}})
print(pcall(enc,{print}))
end

print("== json decoder")
do
local function dec(s) local pos=1 local function ws() pos=s:find("%S",pos) or #s+1 end local function fail(m) error(("%s at %d"):format(m,pos),0) end local val local function str() local o={} pos=pos+1 while true do local c=s:sub(pos,pos) if c=="" then fail("open string") elseif c=='"' then pos=pos+1 return table.concat(o) elseif c=="\\" then local e=s:sub(pos+1,pos+1) o[#o+1]=({n="\n",t="\t",['"']='"',["\\"]="\\"})[e] or fail("bad escape "..e) pos=pos+2 else o[#o+1]=c pos=pos+1 end end end function val() ws() local c=s:sub(pos,pos) if c=="{" then local r={} pos=pos+1 ws() if s:sub(pos,pos)=="}" then pos=pos+1 return r end repeat ws() local k=str() ws() if s:sub(pos,pos)~=":" then fail("no colon") end pos=pos+1 r[k]=val() ws() local d=s:sub(pos,pos) pos=pos+1 until d~="," return r elseif c=="[" then local r={} pos=pos+1 ws() if s:sub(pos,pos)=="]" then pos=pos+1 return r end repeat r[#r+1]=val() ws() local d=s:sub(pos,pos) pos=pos+1 until d~="," return r elseif c=='"' then return str() else local n=s:match("^-?%d+%.?%d*[eE]?[+-]?%d*",pos) if n then pos=pos+#n return tonumber(n) end for k,v in pairs{["true"]=true,["false"]=false} do if s:sub(pos,pos+#k-1)==k then pos=pos+#k return v end end fail("unexpected "..c) end end return val() end
local r=dec('{"a":[1,2.5,-3e2],"b":{"c":"x\\ny"},"d":true}')
print(r.a[1],r.a[2],r.a[3],r.b.c,r.d)
print(pcall(dec,'{"a" 1}'))
print(pcall(dec,'["x'))
print(pcall(dec,"?"))
end

print("== event emitter")
do
local E={} E.__index=E
function E.new() return setmetatable({h={}},E) end
function E:on(n,f) local l=self.h[n] or {} self.h[n]=l l[#l+1]=f return self end
function E:emit(n,...) local c=0 for _,f in ipairs(self.h[n] or {}) do local ok,e=pcall(f,...) c=c+1 if not ok then print("handler failed: "..tostring(e)) end end return c end
local e=E.new() e:on("x",function(a,b) print("one",a,b) end):on("x",function() error("bad") end):on("x",function() error({}) end):on("x",function(...) print(select("#",...)) end)
print(e:emit("x",1,nil),e:emit("none")) 
end

print("== lru cache")
do
local function lru(n) local t,order={}, {} return {get=function(k) local v=t[k] if v~=nil then for i,x in ipairs(order) do if x==k then table.remove(order,i) break end end order[#order+1]=k end return v end,set=function(k,v) if t[k]==nil then if #order>=n then local old=table.remove(order,1) t[old]=nil end order[#order+1]=k end t[k]=v end,keys=function() return table.concat(order," ") end} end
local c=lru(3)
for _,k in ipairs{"a","b","c"} do c.set(k,k:upper()) end
print(c.get("a"),c.keys()) c.set("d","D")
print(c.get("b"),c.keys(),c.get("c"),c.keys())
end

print("== state machine goto")
do
local function tokens(s) local i,out=1,{} ::start:: do local c=s:sub(i,i) if c=="" then goto done elseif c:find("%s") then i=i+1 goto start elseif c:find("%d") then local n=s:match("^%d+",i) out[#out+1]="N"..n i=i+#n goto start elseif c:find("%a") then local n=s:match("^%a%w*",i) out[#out+1]="I"..n i=i+#n goto start else out[#out+1]="S"..c i=i+1 goto start end end ::done:: return table.concat(out," ") end
print(tokens("foo = bar1+42 *(x)"))
end

print("== calculator")
do
local function eval(s) local i=1 local function peek() return s:match("^%s*(.)",i) end local function take(p) local m,e=s:match("^%s*("..p..")()",i) if m then i=e return m end end local expr local function atom() if take("%(") then local v=expr() assert(take("%)"),"no )") return v end if take("%-") then return -atom() end local n=take("%d+%.?%d*") if not n then error("unexpected "..(peek() or "end"),0) end return tonumber(n) end local function term() local v=atom() while true do local o=take("[*/%%]") if not o then return v end local w=atom() if o=="*" then v=v*w elseif o=="/" then v=v/w else v=v%w end end end function expr() local v=term() while true do local o=take("[+-]") if not o then return v end local w=term() v=o=="+" and v+w or v-w end end local v=expr() if peek() then error("trailing "..peek(),0) end return v end
for _,s in ipairs{"1+2*3","(1+2)*3","7/2","10%4-1","-(2+3)","2*","1 2","(1","1.5*4","100/3"} do print(s,pcall(eval,s)) end
end

print("== inheritance super tostring")
do
local function class(base) local c={} c.__index=c c.__tostring=base and base.__tostring c.super=base c.new=function(...) local o=setmetatable({},c) if c.init then c.init(o,...) end return o end return setmetatable(c,{__index=base,__call=function(_,...) return c.new(...) end}) end
local A=class()
function A:init(x) self.x=x end
function A.__tostring(s) return "A("..s.x..")" end
function A:hi() return "hi "..self.x end
local B=class(A)
function B:init(x,y) A.init(self,x) self.y=y end
function B:hi() return B.super.hi(self).." and "..self.y end
local b=B(1,2)
print(tostring(b),b:hi(),A("z"):hi(),getmetatable(b)==B,b.nope)
print(pcall(function() return A.hi() end))
print(pcall(function() return b:nope() end))
end

print("== proxy readonly")
do
local function ro(t) return setmetatable({},{__index=t,__newindex=function(_,k) error("read-only field '"..tostring(k).."'",2) end,__len=function() return #t end,__pairs=function() return pairs(t) end,__metatable="ro"}) end
local c=ro{1,2,3}
print(#c,c[2],pcall(function() c.x=1 end))
print(getmetatable(c),pcall(setmetatable,c,{}))
for k,v in pairs(c) do io.write(k,v," ") end
print()
print(rawlen(c),next(c))
for i,v in ipairs(c) do io.write(i,v," ") end
print()
print(table.concat(c,"-"),table.unpack(c))
print(pcall(table.insert,c,4))
end

print("== default tables count")
do
local D=setmetatable({},{__index=function(t,k) local v={} rawset(t,k,v) return v end}) D.a.x=1 D.a.y=2 D.b[1]="q"
print(D.a.x,D.a.y,D.b[1],rawget(D,"c"))
local count=setmetatable({},{__index=function() return 0 end})
for w in ("a b a c a b"):gmatch("%a") do count[w]=count[w]+1 end
print(count.a,count.b,count.c,count.z)
end

print("== iterators stateful")
do
local function range(a,b,s) s=s or 1 return function(_,i) i=i+s if (s>0 and i<=b) or (s<0 and i>=b) then return i end end,nil,a-s end
for i in range(1,3) do io.write(i," ") end
for i in range(5,1,-2) do io.write(i," ") end
print()
local function chars(s) local i=0 return function() i=i+1 if i<=#s then return i,s:sub(i,i) end end end
for i,c in chars("abc") do io.write(i,c," ") end
print()
local function zip(a,b) local i=0 return function() i=i+1 if a[i]~=nil and b[i]~=nil then return a[i],b[i] end end end
for x,y in zip({1,2,3},{"a","b"}) do io.write(x,y," ") end
print()
for a,b,c in (function() local n=0 return function() n=n+1 if n<3 then return n,n*2,n*3 end end end)() do io.write(a,b,c," ") end
print()
end

print("== string report")
do
local rows={{"name","count","avg"},{"alpha",10,1.5},{"beta",200,22.25},{"gamma",3000,1/3}}
for _,r in ipairs(rows) do print(("%-8s|%6s|%8s"):format(r[1],r[2],type(r[3])=="number" and ("%.2f"):format(r[3]) or r[3])) end
print(("="):rep(24))
print(("%3d%%"):format(42),("%5.1f%%"):format(99.5),("%s=%q"):format("k","v\n"),("%c%c"):format(72,105),("%x %X %#x %o"):format(255,255,255,8),("%e %g %g"):format(12345.678,1e20,0.0001),("%+d % d %05d %-5d|"):format(5,5,5,5),("%10.4s|"):format("abcdefgh"),("%i"):format(7.0))
end

print("== varargs utilities")
do
local function pack2(...) return {n=select("#",...),...} end
local function bind(f,...) local a=pack2(...) return function(...) local b=pack2(table.unpack(a,1,a.n)) for i=1,select("#",...) do b[b.n+i]=(select(i,...)) end return f(table.unpack(b,1,b.n+select("#",...))) end end
print(bind(print,1,nil)(2,nil))
print(bind(math.max,3)(9,4))
print(select("#",bind(function(...) return ... end,nil,nil)(nil)))
local function rev(...) local n=select("#",...) if n==0 then return end local function r(i,...) if i==0 then return ... end return r(i-1,...) end local t={} for i=1,n do t[i]=(select(n-i+1,...)) end return table.unpack(t,1,n) end
print(rev(1,2,nil,4))
end

print("== error objects")
do
local Err={} Err.__index=Err Err.__tostring=function(e) return e.code..": "..e.msg end
local function throw(code,msg) error(setmetatable({code=code,msg=msg},Err)) end
local function try(f,...) local r=table.pack(pcall(f,...)) if r[1] then return table.unpack(r,2,r.n) end local e=r[2] if getmetatable(e)==Err then return "caught "..tostring(e) end return "raw "..tostring(e) end
print(try(throw,550,"no"))
print(try(error,"text"))
print(try(function() local x={} return x.a.b end))
print(try(function(a,b) return a+b end,1,2))
print(try(function() throw(421,"later") end))
print(pcall(function() local ok,e=pcall(throw,1,"in") e.msg=e.msg.."+out" error(e) end)~=true)
print(xpcall(throw,function(e) return "H("..tostring(e)..")" end,5,"five"))
print(select(2,xpcall(function() error("m",0) end,function(m) return {m} end))[1])
end

print("== coroutine scheduler")
do
local q={}
local function spawn(n,f) q[#q+1]={n=n,co=coroutine.create(f)} end
local log={} spawn("a",function() for i=1,3 do log[#log+1]="a"..i coroutine.yield() end end) spawn("b",function() for i=1,2 do log[#log+1]="b"..i coroutine.yield(i) end return "bdone" end) spawn("c",function() log[#log+1]="c" error("c failed") end)
while #q>0 do local t=table.remove(q,1) local ok,v=coroutine.resume(t.co) if not ok then log[#log+1]="!"..v elseif coroutine.status(t.co)~="dead" then q[#q+1]=t elseif v then log[#log+1]=v end end
print(table.concat(log," "))
end

print("== pipeline coroutines")
do
local function producer() return coroutine.wrap(function() for l in ("one\ntwo\n\nthree\n"):gmatch("([^\n]*)\n") do coroutine.yield(l) end end) end
local function map(f,s) return coroutine.wrap(function() for x in s do coroutine.yield(f(x)) end end) end
local function grep(p,s) return coroutine.wrap(function() for x in s do if x:find(p) then coroutine.yield(x) end end end) end
for x in map(string.upper,grep("%S",producer())) do io.write("<",x,">") end
print()
local g=coroutine.wrap(function(...) local a={...} while true do a={coroutine.yield(#a,table.unpack(a))} end end)
print(g(1,2))
print(g())
print(g(nil,"x"))
print(coroutine.wrap(function() return pcall(coroutine.yield,"y") end)())
end

print("== shadowing scopes")
do
local x="outer"
do local x=x.."+inner" print(x) do x="changed" print(x) end print(x) end
print(x)
local function f(x) x=x or "default" return x end
print(f(),f(false),f("given"))
for x=1,2 do local x=x*10 io.write(x," ") end
print(x)
local a,a=1,2
print(a)
local function g() return x end
local x="second"
print(g(),x) y=1
local y=2
print(y,_ENV.y,_G.y) y=3
print(y,_G.y) _G.y=nil
local t={x=x,["y z"]=1,[1]="i"}
print(t.x,t["y z"],t[1])
if x then local x=nil print(x) end
print(x)
repeat local z=x until z==x
while true do local x=1 break end
print(x)
end

print("== numeric strings and keys")
do
local t={} t["10"]="s" t[10]="n" t[10.0]="f" t["10.0"]="sf"
print(t["10"],t[10],t["10.0"],#t)
print("10"+0==10,"0x1F"+0,"1e2"+0,math.type("3"+0),math.type("3.0"+0)," 7 "*1,"5"..1,5 .."1"+1,-"2"+0,"2"^"3")
print(tonumber("  0x10  "),tonumber("1e+2"),tonumber("1 e2"),tonumber("١"),tonumber("0x1.8p1"),tonumber("1."),tonumber(".1"),tonumber("0x"),tonumber("1__0"))
print(10=="10",tostring(10)=="10",10 .. ""=="10",#tostring(12.0),tostring(1e3),tostring(-0.0))
print(math.tointeger("8"),math.tointeger(8.0),("8")+0|0,7.0|0,"0xff"|0)
print(string.rep("ab","2"),("x"):rep(2.0),("abc"):sub("2","3"),("%d"):format("12"),("%s"):format(12),("%5.1f"):format("3.14159"))
end

print("== sort comparators")
do
local people={{n="Bob",a=30},{n="alice",a=25},{n="Carol",a=30},{n="dave",a=25}}
table.sort(people,function(x,y) if x.a~=y.a then return x.a<y.a end return x.n:lower()<y.n:lower() end)
for _,p in ipairs(people) do io.write(p.n,":",p.a," ") end
print()
local w={"banana","apple","Cherry","apple2","10","9","_x",""}
table.sort(w)
print(table.concat(w,","))
table.sort(w,function(a,b) return #a<#b or (#a==#b and a<b) end)
print(table.concat(w,","))
table.sort(w,function(a,b) return a>b end)
print(table.concat(w,","))
local m={3,1.5,2,-1,2.25,0}
table.sort(m)
print(table.concat(m," "))
print(pcall(table.sort,{1,"x",2}))
print(pcall(table.sort,{{1},{2}}))
local k={}
for key in pairs{z=1,y=2,x=3} do k[#k+1]=key end
table.sort(k)
print(table.concat(k))
end

print("== long program mixed")
do
local log={}
local function L(fmt,...) log[#log+1]=fmt:format(...) end
local Account={} Account.__index=Account
local total=0
function Account.open(owner,balance) total=total+1 local self=setmetatable({owner=owner,balance=balance or 0,id=total},Account) L("open %d %s %.2f",self.id,owner,self.balance) return self end
function Account:deposit(v) if type(v)~="number" or v<=0 then error("invalid amount",2) end self.balance=self.balance+v L("dep %d %.2f",self.id,v) return self end
function Account:withdraw(v) if v>self.balance then error({code="NSF",need=v-self.balance}) end self.balance=self.balance-v return self end
local a=Account.open("ann",100) a:deposit(50):withdraw(30)
print(a.balance)
local ok,e=pcall(a.withdraw,a,1000)
print(ok,type(e),e.code,e.need)
print(pcall(a.deposit,a,-5))
print(pcall(function() a:deposit("x") end))
print(pcall(Account.deposit))
print(table.concat(log,"; "))
end
