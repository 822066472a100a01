-- Numbers, as far as integers have 32 bits.

print("== int div mod")
do
for a=-7,7,7 do for _,b in ipairs{-3,3,2,-2} do io.write(a//b," ",a%b," ",a/b," | ") end end
print()
for _,a in ipairs{-7.5,7.5} do for _,b in ipairs{-2,2,0.5,-0.5} do io.write(a//b," ",a%b," | ") end end
print()
print(pcall(function() return 1//0 end))
print(pcall(function() return 1%0 end))
print(1//0.0,-1//0.0,0.0/0.0~=0.0/0.0,1%math.huge,-1%math.huge,1%-math.huge,-1%-math.huge)
print(5%0.0~=5%0.0)
print(math.mininteger//-1==math.mininteger,math.mininteger%-1)
print(pcall(function() local x=0 return 5//x end))
print(pcall(function() local x=0 return 5%x end))
print(0//5,-0.0//5,0%5,-0.0%5)
print(3 % -math.huge, -3 % math.huge)
end

print("== bitops")
do
print(1<<20,1<<30,0xff&0x0f,0xf0|0x0f,5~3,~5,~0,256>>4,1<<0,3&5,0xAA~0xFF,1<<4|1,6&3|8,-1&0xff,7//2|0)
print("10"&3,"0x10"|1,3.0&1,pcall(function() return 3.5&1 end))
print(pcall(function() return "a"&1 end))
print(pcall(function() return {}&1 end))
print(pcall(function() return nil&1 end))
print(1<<-1,2>>-1,1>>1)
print(pcall(function() return 1e100|0 end))
print(pcall(function() return "1e100"|0 end))
print(pcall(function() local a=1.5 return a|1 end))
print(pcall(function() local t={x=1.5} return t.x|1 end))
print(pcall(function() return math.huge|0 end))
end

print("== tostring tonumber")
do
print(tostring(1),tostring(1.0),tostring(-0.0),tostring(1e100),tostring("x"),tostring(nil),tostring(true))
print(tonumber("0x"),tonumber("1e"),tonumber(""),tonumber(" "),tonumber("0x1p4"),tonumber("1e1"),tonumber("  10  "),tonumber("10a"),tonumber("1_0"),tonumber("0b1"),tonumber("1e+5"),tonumber("+5"),tonumber("- 5"),tonumber("-0"),tonumber("-0.0"),tonumber(".5"),tonumber("5."),tonumber("."),tonumber("inf"),tonumber("nan"),tonumber("0x.8"),tonumber("0x8."),tonumber("1\n"),tonumber("\0001"),tonumber("1\0"))
print(tonumber("z",36),tonumber("ff",16),tonumber("FF",16),tonumber("8",8),tonumber("777",8),tonumber("-101",2),tonumber("1e1",16),tonumber("  11  ",2),tonumber("1 1",2),tonumber("7fffffff",16))
print(pcall(tonumber,10,16))
print(pcall(tonumber,"10",1))
print(pcall(tonumber,"10",37))
print(pcall(tonumber,"10","x"))
print(pcall(tonumber))
print(tonumber({}),tonumber(print),tonumber(true))
print(pcall(tonumber,nil,10))
print(pcall(tonumber,"10",2.5))
print(tonumber("10",10.0))
print(10 .."",-5 .."",1.5 .."",2^63 .."", 1e15 .."")
end

print("== math lib")
do
print(math.floor(3.7),math.floor(-3.7),math.ceil(3.2),math.ceil(-3.2),math.floor(5),math.floor("3.7"),math.ceil(1e10 /1e9),math.abs(-5),math.abs(-5.5),math.abs("-3"),math.max(1,2.5,"3"==3 and 1 or 0),math.min(1.5,1),math.max(3),math.sqrt(2),math.fmod(7,3),math.fmod(-7,3),math.fmod(7,-3),math.fmod(7.5,2),math.fmod(-7.5,2))
print(pcall(math.fmod,7,0))
print(math.fmod(7,0.0)~=math.fmod(7,0.0))
print(math.modf(3.7))
print(math.modf(-3.7))
print(math.modf(5))
print(math.modf(1/0))
print(math.modf(-1/0))
print(math.tointeger(3.0),math.tointeger(3.5),math.tointeger("3"),math.tointeger({}),math.type(1),math.type(1.0),math.type("1"),math.type(nil))
print(pcall(math.type))
print(math.log(8,2),math.log(100,10),math.log(2.718281828459045),math.log(8,3),math.exp(1),math.log(0),math.log(-1)~=math.log(-1))
print(math.sin(1),math.cos(1),math.tan(1),math.asin(1),math.acos(0),math.atan(1),math.atan(1,2),math.atan(-1,-2),math.atan(0,-1),math.deg(1),math.rad(90))
print(math.ult(1,2),math.ult(-1,2),math.ult(2,-1))
print(pcall(math.max))
print(pcall(math.min))
print(pcall(math.floor))
print(pcall(math.floor,{}))
print(pcall(math.floor,"x"))
print(pcall(math.sqrt))
print(pcall(math.random,0))
print(pcall(math.random,5,1))
print(pcall(math.random,1,2,3))
print(math.maxinteger+1==math.mininteger,math.maxinteger//1|0==math.maxinteger,math.mininteger-1==math.maxinteger)
end

print("== floats as ints")
do
print(3.0==3,({[3]="x"})[3.0],#("x"):rep(3.0),("abc"):sub(2.0),pcall(string.rep,"x",2.5))
print(pcall(string.sub,"x",1.5))
print(pcall(string.sub,"x","1.5"))
print(("abc"):sub("2"))
print(string.format("%d",3.0),pcall(string.format,"%d",3.5))
print(pcall(string.format,"%d","3.5"))
print(string.format("%d","3"))
print(string.format("%d",3e9),string.format("%d",-3e9),string.format("%x",3e9),string.format("%d",2^53))
print(math.floor(3e9)==3e9,math.floor(1e100))
local t={} t[2^53]=1
print(t[2^53])
print(utf8.char(65.0))
print(select(2.0,"a","b"))
print(table.concat({1,2.0,3.5},","))
end

print("== numbers print")
do
for _,v in ipairs{10/2,3/2,1e15,1e14,1e16,0.1,1/3,100,1e100,-1e-7,2^31,2^53,1e15+0.5,5//2,5.0//2,-5//2,5//-2,-5%3,5%-3,-5.5%3,5.5%-3,2^0.5,10%3.5,1e308*10,-1e308*10,3.0,-0.0,0x10,0xA.8p0,1e2,.5,5e-324,1.7976931348623157e308,123456.789e3,255//1,7/7,2^-1074,0.1+0.2,100//1e-1} do print(v) end
print(0/0,-(0/0))
print(math.huge-math.huge)
print(math.pi,-math.pi)
print(string.format("%.17g",0.1),string.format("%.3f",2/3),string.format("%5.1f|%-8.2f|%+.1e",1.25,1.255,12345.678))
end

print("== math random bounds")
do
math.randomseed(1)
for i=1,100 do local a=math.random() assert(a>=0 and a<1) local b=math.random(6) assert(b>=1 and b<=6 and math.type(b)=="integer") local c=math.random(-3,3) assert(c>=-3 and c<=3) end
print("ok",math.random(1),math.random(5,5),pcall(math.random,1.5))
print(select("#",math.randomseed(5)))
end
