-- Messages of the parser.

print("== syntax errors")
do
for _,s in ipairs{"x=","x==1","x=1 y","local 1","local x=","if x","if x then","if x then else","if x then elseif","for","for i","for i=","for i=1","for i=1,2","for i=1,2 do","for i in","for a,b","for a.b=1,2 do end","while","while 1","while 1 do","repeat","repeat until","function","function f","function f(","function f(a,)","function f(a","function f(...,a) end","function f(1) end","function a.b:c.d() end","return return","return 1,","x.y","x.y.z","x:y","x:y z","f(","f(1","f(1,","{","x={","x={1,","x={1 2}","x={a=}","x={[1}","x={[1]}","x={[1]=}","a,b","a,b=","a,=1","1=1","'x'=1","f()=1","(a)=1","(a).b=1","a.1","a.b.=1","x = }","x = )","end","else","until","x = function","x = function(","x = 1 +","x = not","x = -","x = #","x = ..","x = ...","function f() return ... end","local function","local function f","goto","::","::x","::x:","x = 'a","x = \"a\nb\"","x = [[a","x = [==[a]=]","x = [=","--[[a","x = 1..2","x = 0x","x = 1e","x = 3x","x = 08x","x = 1.2.3","x = '\\q'","x = '\\400'","x = '\\x1'","x = '\\xg'","x = '\\u'","x = '\\u{'","x = '\\u{}'","x = '\\u{zz}'","x = '\\u{7fffffff}'","x = '\\u{110000000000}'","@","x = $","x = a ? b","x != 1","x = !y","x += 1","x++","if x = 1 then end","\1","x = \"\\\n\"","return 1 2","return;;","do","do end end","a b c","f{","f'","f''''","local a.b=1","local x <const> = 1","x = 1 // ","x = a & ","x = ~","a = b = c","and","x = and","x = nil nil"} do print(s,load(s)) end
end

print("== syntax errors long and names")
do
print(load("x = = 1","=(my chunk)"))
print(load("x = = 1","@a/b/c.lua"))
print(load("x = = 1","@"..("long/"):rep(20).."f.lua"))
print(load("x = = 1","="..("n"):rep(100)))
print(load("x = = 1","line one\nline two"))
print(load("x = = 1\n"))
print(load(("x"):rep(100).." = = 1"))
print(load("\n\n x = = 1"))
print(load("local "..("a"):rep(90).." b"))
print(load("x = '"..("s"):rep(200)))
print(load("x = 5 "..("s"):rep(200).." 3"))
print(load("x = [["..("s"):rep(200).."]] 4"))
print(load(""))
print(load("x = = 1",""))
print(load("x = = 1","="))
print(load("x = = 1","@"))
end

print("== long brackets crlf")
do
print(#load("return [[a\r\nb]]")(),#load("return [[a\n\rb]]")(),#load("return [[a\r\rb]]")(),#load("return '\\\r\n'")(),#load("return [[\r\nx]]")())
print(load("x=1\r\ny = = 2"))
print(load("x=1\n\ry = = 2"))
print(load("--c\rx = = 1"))
end

print("== goto")
do
for i=1,3 do for j=1,3 do if j==2 then goto continue end if i==3 then goto done end io.write(i,",",j," ") ::continue:: end end ::done::
print()
do local k=0 ::a:: k=k+1 if k<3 then goto a end print(k) end
local function f() goto e do print"skip" end ::e:: end f()
print(load("goto x; local a; ::x:: print(a)"))
print(load("do ::x:: end goto x"))
print(load("::x:: ::x::"))
print(load("break"))
print(load("while true do break break end"))
print(load("goto 1"))
print(load("for i=1,2 do ::l:: end for i=1,2 do ::l:: end")~=nil)
local fs={}
do local i=1 ::top:: local j=i fs[i]=function() return j end i=i+1 if i<=3 then goto top end end
print(fs[1](),fs[2](),fs[3]())
repeat local x=5 if x then goto cont end ::cont:: until true
print(load("repeat if x then goto cont end local y=1 ::cont:: until y"))
end

print("== limits")
do
local s={}
for i=1,201 do s[#s+1]="local a"..i end
print(load(table.concat(s,"\n")))
local s={}
for i=1,260 do s[#s+1]="a"..i end
local up={}
for i=1,190 do up[#up+1]="local u"..i end
print(load(table.concat(up,"\n").."\nlocal function f() local function g() local function h() end end end")~=nil)
print(load("return "..("("):rep(250).."1"..(")"):rep(250)))
print(load(("do "):rep(250)..("end "):rep(250)))
print(load("x="..("{"):rep(250)..("}"):rep(250)))
print(load("local a = "..("-"):rep(10).." 1"))
print(load("return "..("not "):rep(300).."1"))
print(load("f("..("a,"):rep(260).."a)"))
print(load("local function f("..table.concat(s,",")..") end"))
end

print("== goto")
do
for i=1,3 do for j=1,3 do if j==2 then goto continue end if i==3 then goto done end io.write(i,",",j," ") ::continue:: end end ::done::
print()
do local k=0 ::a:: k=k+1 if k<3 then goto a end print(k) end
local function f() goto e do print"skip" end ::e:: end f()
print(load("goto x; local a; ::x:: print(a)"))
print(load("do ::x:: end goto x"))
print(load("::x:: ::x::"))
print(load("break"))
print(load("while true do break break end"))
print(load("goto 1"))
print(load("for i=1,2 do ::l:: end for i=1,2 do ::l:: end")~=nil)
local fs={}
do local i=1 ::top:: local j=i fs[i]=function() return j end i=i+1 if i<=3 then goto top end end
print(fs[1](),fs[2](),fs[3]())
repeat local x=5 if x then goto cont end ::cont:: until true
print(load("repeat if x then goto cont end local y=1 ::cont:: until y"))
end
