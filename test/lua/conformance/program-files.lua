-- Files: modes, formats, positions and what goes wrong.

print("== io write read")
do
local n="t.txt"
local f=assert(io.open(n,"w"))
print(io.type(f),f:write("line1\n",2," ",3.5,"\nlast")==f)
print(f:seek(),f:seek("set",0),f:seek("end"),f:seek("cur",-2)) f:close()
print(io.type(f),tostring(f))
print(pcall(f.write,f,"x"))
print(pcall(f.read,f))
print(pcall(f.close,f))
print(pcall(f.lines,f))
print(pcall(f.seek,f))
print(pcall(f.flush,f)) f=io.open(n)
print(f:read())
print(f:read("n"))
print(f:read("n"))
print(f:read("n"))
print(f:read("l"))
print(f:read("l"))
print(f:read("a"))
print(f:read("a"),f:read("l"),f:read("n"),f:read(1),f:read(0)) f:close() f=io.open(n)
print(f:read(0),f:read(3),f:read(100),f:read(0),f:read(1)) f:seek("set")
print(f:read("L"))
print(f:read("a")) f:seek("set",2)
print(f:read("*l"))
print(f:read("l","n")) f:close()
print(io.open(n,"rb"):read("a")==io.open(n):read("a"))
end

print("== io modes")
do
local n="t.txt"
local function w(m,s) local f,e=io.open(n,m) if not f then print(m,e) return end print(m,f:write(s)==f) f:close() end
w("w","abc")
w("a","def")
w("r+","X")
w("a+","Z")
print(io.open(n):read("a"))
w("w+","new")
print(io.open(n):read("a"))
local f=io.open(n,"r+")
print(f:read(1)) f:seek("cur",0) f:write("Q") f:seek("set")
print(f:read("a")) f:close() f=io.open(n,"a+")
print(f:read("a")) f:write("1") f:seek("set")
print(f:read("a")) f:close() f=io.open(n,"r")
print(f:write("x")) f:close() f=io.open(n,"w")
print(f:read("a")) f:close()
for _,m in ipairs{"","x","rw","r+b","rb+","b","w++","wb","r ","R","a+b","+"} do local ok,a,b=pcall(io.open,n,m) print(m,ok,ok and io.type(a) or a,b) end
end

print("== io lines")
do
local n="t.txt"
local f=io.open(n,"w") f:write("one\ntwo\n\nfour 4 4.5\nlast") f:close()
for l in io.lines(n) do io.write("[",l,"]") end
print()
for l in io.lines(n,"L") do io.write("[",l,"]") end
print()
for a,b in io.lines(n,1,2) do io.write("[",a,"|",tostring(b),"]") end
print()
for a in io.lines(n,"a") do io.write(#a," ") break end
print()
for c in io.lines(n,4) do io.write("<",c,">") end
print()
print(pcall(io.lines,n,"x"))
print(pcall(io.lines,"/absent"))
print(pcall(io.lines,n,"*x"))
for l in io.lines(n,"*l") do io.write(l,";") end
print()
for l in io.lines(n,"*L") do io.write(l,";") end
print()
local it=io.lines(n)
while it() do end
print(pcall(it))
local f=io.open(n)
for l in f:lines() do io.write(l,",") end
print(io.type(f)) f:close()
print(pcall(function() for l in f:lines() do end end)) f=io.open(n)
local it=f:lines("l")
print(it()) f:close()
print(pcall(it))
local f=io.open(n)
print(pcall(f.lines,f,"q"))
for i,j in f:lines(1,"n") do print(i,j) break end
print(io.lines(n)~=nil, select("#",io.lines(n)))
print(pcall(io.lines,nil,"x"))
end

print("== io read numbers")
do
local n="t.txt"
local function try(s,...) local f=io.open(n,"w") f:write(s) f:close() f=io.open(n) print(("%q"):format(s),f:read(...)) print(f:read(3)) f:close() end
try("12 13","n","n","n")
try("0x1F","n")
try("0x1p4","n")
try("1e3","n")
try("1e","n")
try(".5","n")
try("5.","n")
try(".","n")
try("-3","n")
try("- 3","n")
try("+7","n")
try("  \n 8","n")
try("nan","n")
try("inf","n")
try("abc","n")
try("12abc","n")
try("1.2.3","n")
try("0x","n")
try("0xg","n")
try("1e400","n")
try("--1","n")
try("1,2","n")
try("1 2 3","n","l","n")
try("","n")
try("1e+5","n")
try("1e+","n")
try("00012","n")
try("1_000","n")
try("a\nb","l","l","l")
try("\n\n","l","L","l")
try("x","a","a","l")
try("abc",2,0,5)
try("","a")
try("",0)
try("","l")
try("1\0012","n")
try("a\0b\n","l")
end

print("== io default files")
do
io.output("o.txt")
io.write("a\nb\n",1,"\n")
print(io.output()~=io.stdout)
io.close()
print(pcall(io.write,"x"))
io.output(io.stdout)
io.input("o.txt")
print(io.read(),io.read("L"),io.read("n"),io.read("l"),io.read("l"),io.read("a"))
io.close(io.input())
print(pcall(io.read))
io.input("o.txt")
for l in io.lines() do io.write(l,"|") end
print()
print(io.type(io.input()))
print(pcall(io.input,"/absent"))
print(pcall(io.output,"/absent/x"))
io.input(io.stdin)
print(io.read())
print(io.read("a"))
print(io.read("n"))
print(pcall(io.close,5))
print(io.type(io.stdin),io.type(io.stderr),io.type(5),io.type("x"))
local f=io.tmpfile() f:write("tmp") f:seek("set")
print(f:read("a"),f:close())
end

print("== io misc")
do
local f=io.tmpfile()
print(f:setvbuf("no"),f:setvbuf("full",1024),f:setvbuf("line"))
print(pcall(f.setvbuf,f,"bad"))
print(pcall(f.seek,f,"bad"))
print(f:seek("set",-1))
print(pcall(f.seek,f,"set","x"))
print(f:flush()==f,io.flush()~=nil) f:write("hello")
print(f:seek("cur"),f:seek("set",1),f:read(2),f:seek("end",-1),f:read("a")) f:seek("set",10) f:write("x") f:seek("set")
print(#f:read("a"))
print(f:close())
print(pcall(io.close,f))
print(io.type(f))
print(pcall(io.popen))
print(pcall(f.nope))
print(getmetatable(io.stdout).__name,getmetatable(io.stdout).__index==getmetatable(io.stdout))
print(pcall(io.stdout.close))
print(io.stdout:seek()~=1)
print(f.x)
end

print("== io write errors values")
do
local f=io.open("q.txt","w")
print(pcall(f.write,f,nil))
print(pcall(f.write,f,"a",{}))
print(pcall(f.write,f,true))
print(f:write()==f) f:write(1,1.0,-0.0,1e100,2^53,"\0") f:close()
print((io.open("q.txt"):read("a"):gsub("%z","Z")))
print(io.open("nodir/q","w"))
print(io.open("q.txt/x","w"))
print(io.open(("n"):rep(300),"w")==nil,select(2,io.open(("n"):rep(300),"w")):sub(-20)) 
end

print("== read directory")
do
local f=io.open("/")
print(f and f:read(1))
print(f and f:read("a"))
print(f and f:read("n"))
print(f and f:read("l"))
print(f and pcall(f.lines(f)))
end
