-- The order of pairs and next: array part first, numbers where C Lua hashes them; and borders of tables with holes.

print("== order mixed constructor")
do
for k,v in pairs({x=1, 10, 20}) do print(k,v) end
for k,v in pairs({10, 20, x=1}) do print(k,v) end
for k,v in pairs({n=1; 10; 20; 30}) do print(k,v) end
print(next({x=1,5}))
end

print("== order filled backwards")
do
local t={}
for i=5,1,-1 do t[i]=i*i end
for k,v in pairs(t) do print(k,v) end
end

print("== order insert after field")
do
local t={name="x"} t[1]="a" t[2]="b" t[3]="c"
for k,v in pairs(t) do print(k,v) end
end

print("== order insert at 1")
do
local t={}
for i=1,5 do table.insert(t,1,i) end
for k,v in pairs(t) do print(k,v) end
end

print("== order after removal")
do
local t={1,2,3,4,5}
table.remove(t,1)
for k,v in pairs(t) do print(k,v) end t[2]=nil t[2]="again"
for k,v in pairs(t) do print(k,v) end
end

print("== order nil first then set")
do
local t={nil,2,3} t[1]="one"
for k,v in pairs(t) do print(k,v) end
end

print("== order refill")
do
local t={}
for i=1,8 do t[i]=i end
for i=1,8 do t[i]=nil end
for i=8,1,-1 do t[i]=-i end
for k,v in pairs(t) do print(k,v) end
end

print("== order sort")
do
local t={5,3,1}
table.sort(t)
for k,v in pairs(t) do print(k,v) end
end

print("== order assignment during traversal")
do
local t={1,2,3,x=1}
for k,v in pairs(t) do t[k]=v*2 end
for k,v in pairs(t) do print(k,v) end
for k in pairs(t) do t[k]=nil end
print(next(t))
end

print("== order pack")
do
local t=table.pack(1,2,nil,4)
for k,v in pairs(t) do print(k,v) end
end

print("== order varargs after field")
do
local function f(...) return {n=select('#',...),...} end
for k,v in pairs(f('a','b','c')) do print(k,v) end
end

print("== order gaps")
do
local t={1,2,nil,4}
for k,v in pairs(t) do print(k,v) end
local u={} u[1]=1 u[2]=2 u[4]=4
for k,v in pairs(u) do print(k,v) end
end

print("== order bool keys")
do
local t={[true]=1, "a"}
for k,v in pairs(t) do print(k,v) end
end

print("== order explicit int keys")
do
local t={[1]="a",[2]="b",[3]="c"}
for k,v in pairs(t) do print(k,v) end
end

print("== order floats")
do
local t={} t[1.0]="a" t[2.0]="b"
for k,v in pairs(t) do print(k,v) end
end

print("== order sparse ints")
do
for k,v in pairs({[10]=1,[20]=2,[30]=3}) do io.write(k," ") end
print()
for k,v in pairs({[550]="a",[421]="b",[250]="c",[354]="d"}) do io.write(k," ") end
print()
local t={} t[550]=1 t[421]=2 t[250]=3 t[354]=4 t[451]=5
for k in pairs(t) do io.write(k," ") end
print() t={}
for i=10,100,10 do t[i]=i end
for k in pairs(t) do io.write(k," ") end
print() t={}
for i=100,10,-10 do t[i]=i end
for k in pairs(t) do io.write(k," ") end
print()
for k in pairs({[0]=0,1,2,3,[-1]=-1,[10]=10}) do io.write(k," ") end
print()
for k in pairs({[true]=1,[false]=0,1,2}) do io.write(tostring(k)," ") end
print()
for k in pairs({[25]=1,[587]=2,[465]=3,[143]=4,[993]=5,[110]=6,[995]=7}) do io.write(k," ") end
print() t={}
for _,p in ipairs{25,587,465,143,993,110,995} do t[p]=true end
for k in pairs(t) do io.write(k," ") end
print() t={}
for i=1,20,2 do t[i]=i end
for k in pairs(t) do io.write(k," ") end
print() t={1,2,3} t[5]=5 t[7]=7 t[4]=4
for k in pairs(t) do io.write(k," ") end
print() t={}
for i=8,1,-1 do t[i]=i end
for k in pairs(t) do io.write(k," ") end
print()
for k in pairs({[2]=2,[1]=1}) do io.write(k," ") end
print()
for k in pairs({[3]=1,[2]=1,[1]=1,[4]=4}) do io.write(k," ") end
print()
for k in pairs({[1.5]=1,[2.5]=2,[0.1]=3,7}) do io.write(k," ") end
print()
for k in pairs({10,20,30,[5]=50,[4]=40}) do io.write(k," ") end
print()
end

print("== constructors")
do
local function show(t) for k in pairs(t) do io.write(tostring(k)," ") end print(#t) end
show{[1]=1,[2]=2}
show{[1]=1}
show{[1]=1,[2]=2,[3]=3,[4]=4}
show{[2]=2,[1]=1}
show{10,[2]=2}
show{10,20,[1]=1}
show{[1]=1,10}
show{10,20,30,[4]=40}
show{[0]=0,10,20}
show{[0]=0,[1]=10,[2]=20}
show{[10]=1,[1]=10,5,6}
local t={[1]=1,[2]=2} t[3]=3
show(t) t[4]=4 t[5]=5
show(t) t={[5]=1}
for i=1,10 do t[i]=i end
show(t) t={n=0}
for i=1,10 do t[i]=i end
show(t) t={x=1}
for i=10,1,-1 do t[i]=i end
print(next(t)) t={10,20,30}
for i=4,9 do t[i]=i end
show(t) t={} t[3]=3 t[2]=2 t[1]=1
show(t) t[4]=4
show(t)
end

print("== random tables without removals")
do
local seed=12345
local function rnd(n) seed=(seed*75+74)%65537 return seed%n end
for round=1,300 do
local t={} local kind=rnd(6) local n=rnd(30)
if kind==0 then for i=1,n do t[rnd(40)]=i end
elseif kind==1 then for i=n,1,-1 do t[i]=i end
elseif kind==2 then for i=1,n do t[rnd(1000)-500]=i end
elseif kind==3 then for i=1,n do t[i]=i end for i=1,n do t[rnd(60)]=i end
elseif kind==4 then t={1,2,3,4,5,[20]=1,[30]=2,[40]=3} for i=1,n do t[rnd(12)*10]=i end
else for i=1,n do t[rnd(100)/8]=i end t[rnd(2)==0]=true end
local o={} for k in pairs(t) do o[#o+1]=tostring(k) end print(kind,table.concat(o," ")) end
end

print("== random push pop")
do
local seed=99
local function rnd(n) seed=(seed*75+74)%65537 return seed%n end
local t={}
for round=1,2000 do local r=rnd(10) if r<5 then t[#t+1]=round elseif r<7 then table.remove(t) elseif r==7 then table.insert(t,1,-round) elseif r==8 and #t>0 then table.remove(t,1+rnd(#t)) else t[#t]=nil end if round%50==0 then local o={} for k,v in pairs(t) do o[#o+1]=k..":"..v end print(#t,table.concat(o," ")) end end
end

print("== visits")
do
local function check(t,del) local want,got,n={},{},0 for k in next,t do want[k]=true n=n+1 end local m=0 for k,v in pairs(t) do assert(not got[k]) got[k]=true m=m+1 if del and m%del==0 then t[k]=nil end if m%7==0 then for k2 in pairs(t) do break end for k2 in pairs(t) do t[k2]=t[k2] end end end assert(m==n,m.." "..n) return n end
for _,n in ipairs{10,100,255,256,257,300,1000} do for mode=1,5 do local function make() local t={} if mode==1 then for i=n,1,-1 do t[i]=i end elseif mode==2 then t.x=1 for i=1,n do t[i]=i end elseif mode==3 then for i=1,n do t[i*7%1009]=i end elseif mode==4 then for i=1,n do t["k"..i]=i t[i]=i end else for i=2,n do t[i]=i end end return t end for del=1,3 do io.write(check(make(),del)," ") end io.write(check(make())," ") local t=make() for k in pairs(t) do t[k]=nil end assert(next(t)==nil) local t=make() while true do local k=next(t) if k==nil then break end t[k]=nil end assert(next(t)==nil) end end
print()
end

print("== visits nested first removed")
do
for _,n in ipairs{10,300} do local t={} t.x=1 for i=1,n do t[i]=i end local seen={} for k in pairs(t) do seen[#seen+1]=k t[k]=nil for k2 in pairs(t) do break end for k2 in pairs(t) do end end print(#seen,#t) end
end

print("== floats")
do
local function show(...) local t={} for _,k in ipairs{...} do t[k]=1 end for k in pairs(t) do io.write(tostring(k)," ") end print() end
show(0.5)
show(0.5,1.5)
show(0.25,3.25)
show(0.25,3.25,8.5)
show(1.375,8.5,0.25,3.25)
show(0.1,0.2,0.3,0.4)
show(3.25,0.25)
show(1e300,1e-300,-0.5,-1.5,5e-324)
show(true,false)
show(false,true)
show(true,1.5)
show(1.5,true)
show(0.5,true,false,2.5)
show(1/0,-1/0,0.5)
end

print("== length holes")
do
print(#{nil,nil,3},#{nil,2},#{1,nil,3},#{1,nil,nil,4},#{nil,nil,nil},#{1,nil,3,nil,5},#{1,2,nil,nil,5,nil})
local function f(...) return #{...} end
print(f(nil),f(nil,2),f(1,nil,3),f(nil,nil,3),f(1,nil))
print(#table.pack(nil,2),#table.pack(1,nil,3),#table.pack(nil,nil))
local t={1,2,3,4,5} t[3]=nil
print(#t) t[5]=nil
print(#t)
local u={1,2,3,4} u[4]=nil u[2]=nil
print(#u)
local v={} v[1]=1 v[2]=2 v[4]=4
print(#v)
local w={n=3,1,nil,3}
print(#w)
local q={}
for i=1,10 do q[i]=i end q[5]=nil
print(#q) q[10]=nil
print(#q) q[9]=nil q[8]=nil
print(#q)
end

print("== integer float keys")
do
local t={} t[1.0]="a" t[2]="b" t["1"]="s"
print(t[1],t[2.0],t["1"],#t) t[2^53]="big"
print(t[2^53])
for k in pairs({[3.0]=1}) do print(k,math.type(k)) end t={[1]=1,[1.5]=2,[-1]=3,[0]=4}
print(t[1],t[1.5],t[-1],t[0],t[-0.0],#t)
print(next({[1e300]=1}))
end

print("== ipairs pairs next raw")
do
for i,v in ipairs({1,2,nil,4}) do io.write(i,v," ") end
print()
print(next({}))
print(next({5}))
print(next({5},1))
print(pcall(next,{},1))
print(pcall(next,{},nil))
print(pcall(next))
print(pcall(next,5))
print(pcall(pairs))
print(pcall(pairs,nil))
print(pcall(ipairs))
print(pcall(ipairs,nil))
print(ipairs({})~=nil, select("#",ipairs({})),select("#",pairs({})))
print(type(next),rawequal(next,(pairs({}))))
print(pcall(rawset,{},nil,1))
print(pcall(rawset,{},0/0,1))
print(pcall(function() local t={} t[nil]=1 end))
print(pcall(function() local t={} t[0/0]=1 end))
print(({})[nil],({})[0/0])
print(rawget({5},1),rawset({},1,2)[1])
print(pcall(rawget,5,1))
print(pcall(rawset,{}))
print(pcall(rawset,{},1))
print(pcall(rawlen))
print(pcall(rawlen,5))
print(pcall(rawequal))
print(pcall(rawequal,1))
end

print("== length")
do
print(#{},#{1},#{1,2,nil},#{nil},#{n=1},#"abc",#{[1]=1,[2]=2})
local t={}
for i=1,10 do t[i]=i end t[10]=nil
print(#t) t[5]=nil
print(#t==9 or #t==4)
print(pcall(function() return #5 end))
print(pcall(function() return #nil end))
print(pcall(function() local x=true return #x end)) t={1,2,3} t[#t+1]=4
print(#t) t[#t]=nil
print(#t) t[100]=1
print(#t)
end

print("== varargs3")
do
local function v(...) local s=0 for i=1,select("#",...) do s=s+(select(i,...) or 0) end return s end
print(v(1,nil,3))
local function w(...) for i,x in ipairs{...} do io.write(i,"=",tostring(x)," ") end print() end
w(1,2,nil,4)
local function pass(...) return pcall(function(...) return select("#",...),... end,...) end
print(pass(nil,nil))
print(string.format("%s %s",(function(...) return ... end)(1,2)))
print(math.max((function() return 3,9,4 end)()))
print((function(...) return ... end)(1,2,3))
local a,b,c=(function() return 1 end)()
print(a,b,c)
local a,b=((function() return 1,2 end)())
print(a,b)
print(pcall(function(...) return #{...},... end,1,nil))
print(table.unpack({1,2,3},1,2),(table.unpack({4,5})))
end
