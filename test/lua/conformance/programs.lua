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
