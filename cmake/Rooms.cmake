# A room is a folder of src/ and a static library that links only what it stands on (docs/architecture.md, "The map").
add_library(lotse_options INTERFACE)
target_include_directories(lotse_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(lotse_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wold-style-cast -Wimplicit-fallthrough -Wno-missing-field-initializers>)
if(LOTSE_WERROR)
  target_compile_options(lotse_options INTERFACE -Werror)
endif()
if(LOTSE_SANITIZE)
  target_compile_options(lotse_options INTERFACE -fsanitize=${LOTSE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lotse_options INTERFACE -fsanitize=${LOTSE_SANITIZE})
endif()

# lotse_room(NAME [UNDER room...] [LIBS library...]): every *.cc of the folder, public on the rooms it stands on.
function(lotse_room name)
  cmake_parse_arguments(ROOM "" "" "UNDER;LIBS;PRIVATE_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(TRANSFORM ROOM_UNDER PREPEND lotse_)
  if(NOT sources)
    add_library(lotse_${name} INTERFACE)
    target_link_libraries(lotse_${name} INTERFACE lotse_options ${ROOM_UNDER} ${ROOM_LIBS} ${ROOM_PRIVATE_LIBS})
    return()
  endif()
  add_library(lotse_${name} STATIC ${sources})
  target_link_libraries(lotse_${name} PUBLIC lotse_options ${ROOM_UNDER} ${ROOM_LIBS} PRIVATE ${ROOM_PRIVATE_LIBS})
endfunction()

# lotse_test(NAME [LIBS target...] [TIMEOUT seconds] [LABELS label...] [SERIAL]): one test program of every *_test.cc in the calling folder, each case a ctest of its own.
function(lotse_test name)
  cmake_parse_arguments(TEST "SERIAL" "TIMEOUT" "LIBS;LABELS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_test PRIVATE lotse_options ${TEST_LIBS} GTest::gtest_main)
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}" RUN_SERIAL "${TEST_SERIAL}")
endfunction()
