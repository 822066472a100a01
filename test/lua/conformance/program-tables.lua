-- The table library, select and varargs.

print("== table lib")
do
local function c(t) return table.concat(t,",") end
local t={1,2,3}
table.insert(t,4)
table.insert(t,1,0)
table.insert(t,#t+1,9)
print(c(t))
print(table.remove(t),table.remove(t,1),table.remove(t,2),c(t))
print(pcall(table.insert,t,10,1))
print(pcall(table.insert,t,0,1))
print(pcall(table.insert,t,-1,1))
print(pcall(table.insert,t))
print(pcall(table.insert,t,1,2,3))
print(pcall(table.insert,t,"x",2))
print(pcall(table.insert,t,1.5,2))
print(pcall(table.insert,nil,1))
print(pcall(table.insert))
print(pcall(table.insert,t,nil,2))
table.insert(t,nil)
print(#t)
print(table.remove({}),table.remove({},0),table.remove({},nil))
print(pcall(table.remove,{1,2},5))
print(table.remove({1,2},3))
print(pcall(table.remove,{1,2},-1))
print(pcall(table.remove))
print(pcall(table.remove,{1},"x"))
print(table.remove({1,2,3},1))
print(select("#",table.remove({})))
print(select("#",table.insert({},1)))
print(table.remove({[0]="z"},0),table.remove({n=1},#{}))
end

print("== table concat unpack")
do
print(table.concat({}),table.concat({},"x"),table.concat({1,2,3}),table.concat({1,2.5,"x"},"-"),table.concat({1,2,3},",",2),table.concat({1,2,3},",",2,2),table.concat({1,2,3},",",3,2).."|")
print(pcall(table.concat,{1,{},3}))
print(pcall(table.concat,{1,nil,3}))
print(pcall(table.concat,{1,2},",",1,3))
print(pcall(table.concat,{true}))
print(pcall(table.concat,{print}))
print(pcall(table.concat))
print(pcall(table.concat,5))
print(pcall(table.concat,{},{}))
print(pcall(table.concat,{},"",{}))
print(table.concat({1,2,3},5))
print(table.unpack({1,2,3}))
print(table.unpack({1,2,3},2))
print(table.unpack({1,2,3},2,5))
print(table.unpack({1,2,3},-1,1))
print(table.unpack({},1,0))
print(select("#",table.unpack({},1,3)))
print(pcall(table.unpack))
print(pcall(table.unpack,{},1,1e8))
print(pcall(table.unpack,{},"x"))
print(table.pack().n,table.pack(nil).n,table.pack(1,nil,3).n)
print(table.unpack({n=3},1,3))
print((table.unpack({1,2})))
print(table.unpack("abc",1,2))
print(pcall(table.unpack,5))
end

print("== table move")
do
local function c(t) local r={} for i=1,8 do r[i]=tostring(t[i]) end return table.concat(r,",") end
print(c(table.move({1,2,3,4},1,4,2)))
print(c(table.move({1,2,3,4},2,4,1)))
print(c(table.move({1,2,3},1,3,5)))
print(c(table.move({1,2,3},1,3,1,{})))
print(c(table.move({1,2,3},1,0,5)))
print(c(table.move({1,2,3},2,3,2)))
print(c(table.move({1,2,3},1,2,3,{9,9})))
print(pcall(table.move,{},1,2))
print(pcall(table.move,5,1,2,3))
print(pcall(table.move,{},1,2,3,5))
print(pcall(table.move,{},1,math.maxinteger,2))
print(pcall(table.move,{},0,math.maxinteger,1))
print(pcall(table.move,{},-1,math.maxinteger,1))
print(pcall(table.move,{},"x",2,3))
local log={}
local p=setmetatable({},{__index=function(_,k) log[#log+1]="r"..k return k*10 end,__newindex=function(t,k,v) log[#log+1]="w"..k rawset(t,k,v) end})
table.move(p,1,3,2)
print(table.concat(log," "))
end

print("== sort")
do
local function c(t) return table.concat(t,",") end
local t={5,2,8,1,9,3}
table.sort(t)
print(c(t))
table.sort(t,function(a,b) return a>b end)
print(c(t))
print(pcall(table.sort,{1,"a"}))
print(pcall(table.sort,{"a",1}))
print(pcall(table.sort,{{},{}}))
print(pcall(table.sort,{1,2,nil,4}))
print(pcall(table.sort,{3,1,2},5))
print(pcall(table.sort,{3,1,2},nil))
print(pcall(table.sort))
print(pcall(table.sort,5))
print(pcall(table.sort,{1,2,3,4,5,6,7,8,9,10},function() return true end))
print(pcall(table.sort,{3,2,1},function(a,b) error("cmp") end))
print(pcall(table.sort,{3,2,1},function(a,b) error({}) end))
local n={}
for i=1,200 do n[i]=(i*7919)%211 end
table.sort(n)
for i=2,200 do assert(n[i-1]<=n[i]) end
print("ok")
local s={}
for i=1,50 do s[i]={k=i%5,i=i} end
table.sort(s,function(a,b) if a.k~=b.k then return a.k<b.k end return a.i<b.i end)
for i=1,50 do io.write(s[i].k,":",s[i].i," ") end
print()
local m={1.5,1,"2"}
print(pcall(table.sort,m))
local mt={__lt=function(a,b) return a.v<b.v end}
local o={setmetatable({v=3},mt),setmetatable({v=1},mt),setmetatable({v=2},mt)}
table.sort(o)
print(o[1].v,o[2].v,o[3].v)
end

print("== sort unstable order")
do
local s={}
for i=1,30 do s[i]={k=i%3,i=i} end
table.sort(s,function(a,b) return a.k<b.k end)
for i=1,30 do io.write(s[i].k,":",s[i].i," ") end
print()
local calls={}
local t={3,1,2,5,4}
table.sort(t,function(a,b) calls[#calls+1]=a.."<"..b return a<b end)
print(table.concat(calls," "))
local s={}
for i=1,120 do s[i]={k=(i*31)%10,i=i} end
table.sort(s,function(a,b) return a.k>b.k end)
for i=1,120 do io.write(s[i].i," ") end
print()
print(pcall(table.sort,{1,2,3},function(a,b) return a<=b end))
print(pcall(table.sort,{1,1,1,1,1,1},function(a,b) return a<=b end))
print(pcall(table.sort,{3,1,3,1,3,1,2},function(a,b) return true end))
print(pcall(table.sort,{1,2,3,4,5},function(a,b) return false end))
print(pcall(table.sort,{1,2},function() return true end))
end

print("== select")
do
print(select("#"))
print(select("#",nil,nil))
print(select(2,"a","b","c"))
print(select(-1,"a","b"))
print(select(-2,"a","b"))
print(pcall(select,-3,"a","b"))
print(pcall(select,0))
print(pcall(select))
print(pcall(select,"x"))
print(select(5,1))
print(select("2",1,2))
print(pcall(select,1.5,1))
print(pcall(select,{},1))
end

print("== deep recursion tailcalls")
do
local function d(n) if n==0 then return 0 end return 1+d(n-1) end
print(d(10000))
local function t(n,a) if n==0 then return a end return t(n-1,a+1) end
print(t(100000,0))
local function even(n) if n==0 then return true end return (function(m) if m==0 then return false end return even(m-1) end)(n-1) end
print(even(1000))
print(select("#",table.unpack({},1,200)),#{table.unpack({},1,250)})
local t={}
for i=1,250 do t[i]=i end
print(select("#",table.unpack(t)),math.max(table.unpack(t)),#string.char(table.unpack((function() local r={} for i=1,200 do r[i]=65 end return r end)())))
end

print("== for loops")
do
for i=3,1 do print("no") end
for i=1,0.5 do print("no") end
for i=1,3.7 do io.write(i," ") end
print()
for i=1.5,4 do io.write(i," ") end
print()
for i=10,1,-3 do io.write(i," ") end
print()
for i=1,2,0.25 do io.write(i," ") end
print()
for i=1,math.huge do if i>3 then break end io.write(i," ") end
print()
for i=1,-math.huge,-1 do if i<-2 then break end io.write(i," ") end
print()
for i=-1,-3,-1 do io.write(i," ") end
print()
for i=0.1,0.5,0.1 do io.write(i," ") end
print()
for i=1,1e9 do if i==3 then break end end
for i=1,3 do local i=i*2 io.write(i," ") end
print()
end

print("== int for types")
do
for i=1,3 do io.write(math.type(i)," ") end
for i=1.0,3 do io.write(math.type(i)," ") end
for i=1,3.0 do io.write(math.type(i)," ") end
for i=1,3,1.0 do io.write(math.type(i)," ",i," ") end
print()
for i=3,1,-1 do io.write(i," ") end
for i=1,0 do io.write("no") end
for i=5,5 do io.write(i," ") end
print()
local n=0
for i=0,1,0.1 do n=n+1 end
print(n)
for i=1,3 do local x=i if x==2 then goto c end io.write(x," ") ::c:: end
print()
end
